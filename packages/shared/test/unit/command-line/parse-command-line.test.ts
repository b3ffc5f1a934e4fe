import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseCommandLine } from '../../../src/command-line/parse-command-line.ts';
import { PROGRAM } from './fixture.ts';

const parse = (line: string) => parseCommandLine(PROGRAM, line === '' ? [] : line.split(' '));

describe('a command line', () => {
  it('is read into the values of the command', () => {
    assert.deepEqual(parse('pour cup-1 --sort=green --degrees 80 --slowly'), {
      kind: 'invocation',
      invocation: {
        command: 'pour',
        arguments: { cup: 'cup-1' },
        options: { sort: 'green', degrees: 80, slowly: true },
        settings: { flags: {} },
      },
    });
  });

  it('gives settings as they are written, to be read with those from elsewhere', () => {
    const line = parse('pour cup-1 --water=many --with-sugar --config brew.yaml --print-config');
    assert.deepEqual(line.kind === 'invocation' && line.invocation.settings, {
      flags: { water: 'many', 'with-sugar': 'true', config: 'brew.yaml' },
      print: 'text',
    });
    const explicit = parse('pour --with-sugar=false cup-1 --print-config=json');
    assert.deepEqual(explicit.kind === 'invocation' && explicit.invocation, {
      command: 'pour',
      arguments: { cup: 'cup-1' },
      options: { sort: undefined, degrees: undefined, slowly: false },
      settings: { flags: { 'with-sugar': 'false' }, print: 'json' },
    });
  });

  for (const line of ['--json pot', '--all pot wash', '--mode dry --all pot wash', '-s green pour cup']) {
    it(`may begin with options: ${line}`, () => {
      const words = line.split(' ');
      const start = words.findIndex(word => word.startsWith('po'));
      const usual = parse([...words.slice(start), ...words.slice(0, start)].join(' '));
      assert.equal(usual.kind, 'invocation');
      assert.deepEqual(parse(line), usual);
    });
  }

  it('asks for the help of a command also before its name', () => {
    assert.deepEqual(parse('--help pot wash'), { kind: 'help', command: 'pot wash' });
  });

  it('has values of exactly the types that the definition gives them', () => {
    const line = parse('pour cup-1');
    assert.ok(line.kind === 'invocation' && line.invocation.command === 'pour');
    const cup: string = line.invocation.arguments.cup;
    const saucer: string | undefined = line.invocation.arguments.saucer;
    const sort: 'green' | 'black' | undefined = line.invocation.options.sort;
    const degrees: number | undefined = line.invocation.options.degrees;
    const slowly: boolean = line.invocation.options.slowly;
    assert.deepEqual([cup, saucer, sort, degrees, slowly], ['cup-1', undefined, undefined, undefined, false]);
  });

  it('may have options before arguments, in short, and a value that begins with a dash after `=` or `--`', () => {
    const line = parse('pour --slowly -s black -- -cup --saucer=');
    assert.deepEqual(line.kind === 'invocation' && line.invocation, {
      command: 'pour',
      arguments: { cup: '-cup', saucer: '--saucer=' },
      options: { sort: 'black', degrees: undefined, slowly: true },
      settings: { flags: {} },
    });
  });

  it('may name a command of two words', () => {
    const line = parse('pot wash --all');
    assert.equal(line.kind === 'invocation' && line.invocation.command, 'pot wash');
    assert.equal(parse('pot').kind, 'invocation');
  });

  it('asks for help of the program or of a command, whatever else is missing', () => {
    for (const line of ['--help', '-h', 'help']) assert.deepEqual(parse(line), { kind: 'help' });
    for (const line of ['pour --help', 'help pour']) {
      assert.deepEqual(parse(line), { kind: 'help', command: 'pour' });
    }
    assert.deepEqual(parse('pot wash -h'), { kind: 'help', command: 'pot wash' });
  });

  it('asks for the version, for completion, or for nothing', () => {
    assert.deepEqual(parse('--version'), { kind: 'version' });
    assert.deepEqual(parse('completion zsh'), { kind: 'completion', forShell: 'zsh' });
    assert.deepEqual(parse(''), { kind: 'nothing' });
  });

  it('without a command means the default one, with its options', () => {
    const program = { ...PROGRAM, defaultCommand: 'pot' };
    for (const argv of [[], ['--json']]) {
      const line = parseCommandLine(program, argv);
      assert.equal(line.kind === 'invocation' && line.invocation.command, 'pot');
    }
    assert.deepEqual(parseCommandLine(program, ['--help']), { kind: 'help' });
  });

  const problems: Readonly<Record<string, string>> = {
    'poor cup': 'unknown command "poor" (did you mean "pour"?)',
    xyz: 'unknown command "xyz"',
    '--json poot': 'unknown command "poot" (did you mean "pot"?)',
    '--jsom pot': 'unknown option "--jsom"',
    '--json pour cup': 'unknown option "--json"',
    'pot --water=1': 'unknown option "--water"',
    'pour cup --water': '--water has no value: expected a whole number from 1 to 9',
    'pour cup --water=1 --water=2': '--water is given more than once',
    'pour cup --print-config=xml': '--print-config is "xml": expected one of "text", "json"',
    constructor: 'unknown command "constructor"',
    'help poor': 'unknown command "poor" (did you mean "pour"?)',
    'pour cup --slow': 'unknown option "--slow" (did you mean "--slowly"?)',
    'pour cup --toString': 'unknown option "--toString"',
    'pour cup --slowly=yes': '--slowly takes no value',
    'pour cup --slowly --slowly': '--slowly is given more than once',
    'pour cup --sort': '--sort has no value: expected one of "green", "black"',
    'pour cup --sort --slowly': '--sort has no value: expected one of "green", "black"',
    'pour cup --sort gren': '--sort is "gren": expected one of "green", "black" (did you mean "green"?)',
    'pour cup --degrees hot': '--degrees is "hot": expected a whole number',
    pour: '<cup> is missing: expected a cup',
    'pour a b c': 'unexpected argument "c": expected only <cup> <saucer>',
    'pot wahs': 'unexpected argument "wahs": expected no arguments (did you mean "wash"?)',
    'pot wash': 'expected exactly one of <pot>, --all',
    'pot wash big --all': 'expected exactly one of <pot>, --all',
    completion: '<shell> is missing: expected one of "bash", "zsh", "fish"',
    'completion fisch': '<shell> is "fisch": expected one of "bash", "zsh", "fish" (did you mean "fish"?)',
  };
  for (const [line, problem] of Object.entries(problems)) {
    it(`"${line}" is refused: ${problem}`, () => {
      const parsed = parse(line);
      assert.equal(parsed.kind === 'usage-problem' && parsed.problem, problem);
    });
  }

  it('of any words is understood or refused, and never half understood', () => {
    const word = fc.oneof(
      fc.string(),
      fc.constantFrom(
        'pour',
        'pot',
        'wash',
        'help',
        'completion',
        '--sort',
        '--sort=green',
        '--degrees',
        '7',
        '-s',
        '--',
        '-h',
      ),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), argv => {
        const line = parseCommandLine(PROGRAM, argv);
        if (line.kind === 'usage-problem') assert.doesNotMatch(line.problem, /\p{Cc}/u);
        if (line.kind !== 'invocation' || line.invocation.command !== 'pour') return;
        const { cup } = line.invocation.arguments;
        const { sort, degrees, slowly } = line.invocation.options;
        assert.equal(typeof cup, 'string');
        assert.ok([undefined, 'green', 'black'].includes(sort));
        assert.ok(degrees === undefined || Number.isInteger(degrees));
        assert.equal(typeof slowly, 'boolean');
      }),
      { numRuns: 500 },
    );
  });

  it('cannot bring control characters into a message', () => {
    const parsed = parseCommandLine(PROGRAM, ['\u001b[2J']);
    assert.equal(parsed.kind === 'usage-problem' && parsed.problem, 'unknown command "\\u{1b}[2J"');
  });
});
