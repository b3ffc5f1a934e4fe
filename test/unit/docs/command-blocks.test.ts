import assert from 'node:assert/strict';
import { readCommandBlocks } from '../../docs/command-blocks.ts';
import { isAsShown } from '../../docs/output-pattern.ts';

const page = (...lines: string[]) => lines.join('\n');

describe('commands on a page', () => {
  it('are what fenced blocks of a shell hold', () => {
    const [block, ...others] = readCommandBlocks(
      page('# Title', '```json', '{}', '```', '', '```sh', 'docker ps', 'docker info', '```'),
    );
    assert.deepEqual(others, []);
    assert.deepEqual(block, {
      line: 6,
      language: 'sh',
      steps: [{ commands: 'docker ps\ndocker info' }],
      eventually: false,
      exitCode: 0,
    });
  });

  it('have their output beside them in a console', () => {
    const [block] = readCommandBlocks(
      page('```console', '$ docker ps \\', '    --all', 'CONTAINER ID', '$ true', '```'),
    );
    assert.deepEqual(block?.steps, [
      { commands: 'docker ps \\\n    --all', output: 'CONTAINER ID' },
      { commands: 'true' },
    ]);
  });

  it('take what comments above them say, and only they do', () => {
    const [first, second, third] = readCommandBlocks(
      page(
        '<!-- before:',
        'docker kill proxy',
        '-->',
        '<!-- eventually -->',
        '<!-- exit code: 2 -->',
        '```sh',
        'true',
        '```',
        '<!-- not run: needs a',
        'registry -->',
        '',
        '```sh',
        'docker push',
        '```',
        '```sh',
        'true',
        '```',
      ),
    );
    assert.equal(first?.preparation, 'docker kill proxy');
    assert.equal(first.eventually, true);
    assert.equal(first.exitCode, 2);
    assert.equal(second?.notRun, 'needs a registry');
    assert.equal(third?.notRun, undefined);
    assert.equal(third?.eventually, false);
  });

  it('are not run where the page says so', () => {
    const [block] = readCommandBlocks(
      page('<!-- commands of this page are not run: needs Windows -->', '# A', '```powershell', 'dir', '```'),
    );
    assert.equal(block?.notRun, 'needs Windows');
  });

  it('are not read past mistakes', () => {
    assert.throws(() => readCommandBlocks('```sh\ntrue'), /line 1: the fence has no end/);
    assert.throws(() => readCommandBlocks('\n<!-- not run:'), /line 2: the comment has no end/);
    assert.throws(
      () => readCommandBlocks('<!-- evnetually -->\n```sh\n```'),
      /line 2: .*"evnetually" says nothing/,
    );
    assert.throws(() => readCommandBlocks('```console\nhello\n```'), /line 2: expected a command/);
  });
});

describe('output that a page shows', () => {
  it('is what was printed, whatever the width of columns', () => {
    assert.ok(isAsShown('name   state\nweb    wired', 'name  state\nweb   wired   \n'));
    assert.ok(!isAsShown('web wired', 'web refused'));
  });

  it('may leave out parts of a line and whole lines', () => {
    assert.ok(isAsShown('wired in … ms', 'wired in 12 ms'));
    assert.ok(isAsShown('web … wired', 'web wired'));
    assert.ok(isAsShown('…\nlast', 'first\nsecond\nlast'));
    assert.ok(isAsShown('first\n…', 'first'));
    assert.ok(!isAsShown('first\n…', 'second\nfirst'));
  });

  it('is text, no pattern', () => {
    assert.ok(!isAsShown('a.c', 'abc'));
    assert.ok(isAsShown('(a|b)*', '(a|b)*'));
  });
});
