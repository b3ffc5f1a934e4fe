import assert from 'node:assert/strict';
import { type Caller, newWitnessKey, WITNESS_HEADER, WitnessQuestion } from '@msi-proxy/shared';
import { Witness } from '../../../src/stand-in/witness.ts';

const A = '172.17.0.2';
const CALLER: Caller = {
  address: A,
  containerId: 'c'.repeat(64),
  startedAt: '2026-01-01T00:00:00Z',
  name: 'orders',
  grant: { kind: 'unlabelled' },
};

describe('Witness', () => {
  const witness = new Witness({ unchanged: address => (address === A ? CALLER : undefined) });

  function ask(address: string, key = witness.key) {
    const question = WitnessQuestion.ask(key, address);
    return { question, answer: witness.answer(question.target, { [WITNESS_HEADER]: question.header }) };
  }

  it('says which run of a container still has an address', () => {
    const { question, answer } = ask(A);

    assert.equal(answer?.status, 200);
    assert.deepEqual(question.readAnswer(JSON.parse(answer.body)), {
      containerId: CALLER.containerId,
      startedAt: CALLER.startedAt,
    });
  });

  it('says that it does not know', () => {
    assert.equal(ask('172.17.0.3').answer?.status, 404);
  });

  it('answers nobody without the key, which is another one in each monitor', () => {
    assert.equal(ask(A, newWitnessKey()).answer, undefined);
    assert.notEqual(new Witness({ unchanged: () => undefined }).key, witness.key);
  });
});
