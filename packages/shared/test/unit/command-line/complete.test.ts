import assert from 'node:assert/strict';
import fc from 'fast-check';
import { complete } from '../../../src/command-line/complete.ts';
import { PROGRAM } from './fixture.ts';

const SOURCES = {
  cup: () => Promise.resolve(['cup-1', 'cup-2', 'mug']),
};

async function words(...line: string[]): Promise<string[]> {
  return (await complete(PROGRAM, line, SOURCES)).map(({ word }) => word);
}

describe('completion', () => {
  it('offers the commands, but no hidden ones, with what they do', async () => {
    assert.deepEqual(await words(''), ['pour', 'pot', 'help', 'completion']);
    assert.deepEqual(await complete(PROGRAM, ['pou']), [{ word: 'pour', summary: 'pour into a cup' }]);
  });

  it('offers second words of commands', async () => {
    assert.deepEqual(await words('pot', 'w'), ['wash']);
  });

  it('offers options that are not there yet', async () => {
    assert.deepEqual(await words('pour', '--slowly', '--s'), ['--sort']);
    assert.deepEqual(await words('--v'), ['--version']);
    assert.deepEqual(await words('pour', '--w'), ['--water', '--with-sugar']);
    assert.deepEqual(await words('pot', '--'), ['--json', '--help', '--version']);
    assert.deepEqual(await words('--json', 'po'), ['pour', 'pot']);
  });

  it('offers what exists for an argument, in its place', async () => {
    assert.deepEqual(await words('pour', 'c'), ['cup-1', 'cup-2']);
    assert.deepEqual(await words('pour', '--slowly', '--degrees', '80', 'm'), ['mug']);
    assert.deepEqual(await words('pour', 'cup-1', 'c'), []);
    assert.deepEqual(await words('help', 'po'), ['pour', 'pot', 'pot wash']);
  });

  it('offers the values of an option, written after it in any way', async () => {
    assert.deepEqual(await words('pour', '--sort', ''), ['green', 'black']);
    assert.deepEqual(await words('pour', '--sort', 'g'), ['green']);
    assert.deepEqual(await words('pour', '--sort=g'), ['--sort=green']);
    // As bash splits it.
    assert.deepEqual(await words('pour', '--sort', '='), ['green', 'black']);
    assert.deepEqual(await words('pour', '--sort', '=', 'b'), ['black']);
    assert.deepEqual(await words('pour', '--degrees', ''), []);
    assert.deepEqual(await words('pot', 'wash', '--mode', ''), ['wet', 'dry']);
    assert.deepEqual(await words('pot', 'wash', '--print-config='), [
      '--print-config=text',
      '--print-config=json',
    ]);
  });

  it('offers nothing for what it does not know, or when a source fails', async () => {
    assert.deepEqual(await words('brew', ''), []);
    const failing = { cup: () => Promise.reject(new Error('no engine')) };
    assert.deepEqual(await complete(PROGRAM, ['pour', ''], failing), []);
  });

  it('of any words offers only what begins like the last one', async () => {
    const word = fc.oneof(fc.string(), fc.constantFrom('pour', 'pot', '--sort', '=', '--', '-'));
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 5 }), async line => {
        const last = line.at(-1) ?? '';
        for (const offered of await words(...line)) assert.ok(last === '=' || offered.startsWith(last));
      }),
      { numRuns: 300 },
    );
  });
});
