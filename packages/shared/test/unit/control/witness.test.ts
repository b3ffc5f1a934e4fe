import assert from 'node:assert/strict';
import { newWitnessKey, WITNESS_PATH, WitnessQuestion } from '../../../src/control/witness.ts';

const ADDRESS = '172.17.0.2';
const RUN = { containerId: 'c'.repeat(64), startedAt: '2026-01-01T00:00:00Z' };

describe('WitnessQuestion', () => {
  const key = newWitnessKey();

  function asked(address = ADDRESS) {
    const question = WitnessQuestion.ask(key, address);
    return { question, read: WitnessQuestion.read(key, question.target, question.header) };
  }

  it('is read and answered by whoever has the key', () => {
    const { question, read } = asked();

    assert.equal(read?.address, ADDRESS);
    assert.deepEqual(question.readAnswer(read.answer(RUN)), RUN);
  });

  it('is read by nobody who has another key', () => {
    const question = WitnessQuestion.ask(newWitnessKey(), ADDRESS);

    assert.equal(WitnessQuestion.read(key, question.target, question.header), undefined);
  });

  it('is never the same twice', () => {
    assert.notEqual(asked().question.header, asked().question.header);
  });

  it('cannot be turned into one about another address', () => {
    const { question } = asked();

    assert.equal(WitnessQuestion.read(key, `${WITNESS_PATH}?address=172.17.0.3`, question.header), undefined);
  });

  const noQuestions: [name: string, target: string, header: unknown][] = [
    ['without a header', WitnessQuestion.ask(key, ADDRESS).target, undefined],
    ['with two headers', WitnessQuestion.ask(key, ADDRESS).target, ['a', 'b']],
    [
      'with a header that proves nothing',
      WitnessQuestion.ask(key, ADDRESS).target,
      `${'0'.repeat(32)}.${'0'.repeat(64)}`,
    ],
    ['with a proof that is too short', WitnessQuestion.ask(key, ADDRESS).target, `${'0'.repeat(32)}.0`],
    ['without an address', WITNESS_PATH, WitnessQuestion.ask(key, ADDRESS).header],
    ['for another path', '/metadata/instance?address=172.17.0.2', WitnessQuestion.ask(key, ADDRESS).header],
  ];
  for (const [name, target, header] of noQuestions) {
    it(`is not a request ${name}`, () => {
      assert.equal(WitnessQuestion.read(key, target, header), undefined);
    });
  }

  it('takes no answer to another question, no changed one, and no other thing', () => {
    const { question, read } = asked();
    const answer = read!.answer(RUN);

    assert.equal(asked().question.readAnswer(answer), undefined);
    assert.equal(asked('172.17.0.3').question.readAnswer(answer), undefined);
    for (const changed of [
      { ...answer, containerId: 'd'.repeat(64) },
      { ...answer, startedAt: '2026-01-02T00:00:00Z' },
      { ...answer, proof: question.header.slice(33) },
      { ...answer, proof: 'ü'.repeat(64) },
      { ...answer, proof: 5 },
      { containerId: RUN.containerId },
      undefined,
      null,
      'yes',
      [],
    ]) {
      assert.equal(question.readAnswer(changed), undefined, JSON.stringify(changed));
    }
  });
});
