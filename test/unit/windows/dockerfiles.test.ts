import assert from 'node:assert/strict';
import { DockerfileParser, type Dockerfile, type JSONInstruction } from 'dockerfile-ast';
import { validate, ValidationSeverity } from 'dockerfile-utils';
import { IMAGE_NAMES, WINDOWS_IMAGES } from '../../../scripts/lib/image-builder.ts';
import { contentOf, filesLike } from './tracked-files.ts';

const DOCKERFILES = filesLike('images/*/Dockerfile*', 'test/**/Dockerfile*');

/** What is a warning to this linter is a mistake here. */
const RULES = {
  deprecatedMaintainer: ValidationSeverity.ERROR,
  directiveCasing: ValidationSeverity.ERROR,
  emptyContinuationLine: ValidationSeverity.ERROR,
  instructionCasing: ValidationSeverity.ERROR,
  instructionCmdMultiple: ValidationSeverity.ERROR,
  instructionEntrypointMultiple: ValidationSeverity.ERROR,
  instructionHealthcheckMultiple: ValidationSeverity.ERROR,
  instructionJSONInSingleQuotes: ValidationSeverity.ERROR,
  instructionWorkdirRelative: ValidationSeverity.ERROR,
};

function parse(path: string): Dockerfile {
  return DockerfileParser.parse(contentOf(path));
}

function argumentsOf(dockerfile: Dockerfile, keyword: string): string[] {
  return dockerfile
    .getInstructions()
    .filter(instruction => instruction.getKeyword() === keyword)
    .map(instruction => instruction.getArgumentsContent() ?? '');
}

function argOf(dockerfile: Dockerfile, name: string): string | undefined {
  const prefix = `${name}=`;
  return argumentsOf(dockerfile, 'ARG')
    .find(text => text.startsWith(prefix))
    ?.slice(prefix.length);
}

describe('Dockerfiles', () => {
  it('are all looked at', () => {
    assert.ok(DOCKERFILES.length >= 8, DOCKERFILES.join(' '));
  });

  for (const path of DOCKERFILES) {
    it(`${path} has no mistakes`, () => {
      const problems = validate(contentOf(path), RULES).map(
        ({ message, range }) =>
          `${range.start.line + 1}: ${typeof message === 'string' ? message : message.value}`,
      );
      assert.deepEqual(problems, []);
    });

    it(`${path} takes its base from the argument BASE_IMAGE`, () => {
      assert.deepEqual(argumentsOf(parse(path), 'FROM'), ['${BASE_IMAGE}']);
    });

    // Images of the tests have their base from what made it just before.
    if (!path.startsWith('images/')) continue;
    it(`${path} names a version of its base`, () => {
      assert.match(argOf(parse(path), 'BASE_IMAGE') ?? '', /^[\w./-]+:(?!latest$)[\w.-]+$/);
    });
  }

  it('with a mistake are found', () => {
    for (const text of ['FROM x:1\nCOPY a\n', 'FROM x:1\nRUNN a\n', 'FROM x:1\nEXPOSE a\n', 'from x:1\n']) {
      assert.notDeepEqual(validate(text, RULES), [], text);
    }
  });
});

describe('Dockerfiles of images for Windows', () => {
  const pinnedNode = (JSON.parse(contentOf('package.json')) as { devDependencies: Record<string, string> })
    .devDependencies['node'];

  for (const name of IMAGE_NAMES) {
    const path = WINDOWS_IMAGES[name].dockerfile;
    const dockerfile = parse(path);

    it(`${name} escapes with a backtick, since paths have backslashes`, () => {
      assert.match(contentOf(path), /^# escape=`\n/);
    });

    it(`${name} says as whom it runs, as an administrator only where it must`, () => {
      const needsRights = ['proxy', 'monitor'].includes(name);
      const user = argumentsOf(dockerfile, 'USER').at(-1);
      assert.equal(user, needsRights ? 'ContainerAdministrator' : 'ContainerUser');
    });

    it(`${name} starts programs without a shell, whose form depends on the base`, () => {
      for (const keyword of ['ENTRYPOINT', 'CMD']) {
        for (const instruction of dockerfile
          .getInstructions()
          .filter(candidate => candidate.getKeyword() === keyword)) {
          assert.ok((instruction as JSONInstruction).getOpeningBracket() !== null, instruction.toString());
        }
      }
      assert.match(argumentsOf(dockerfile, 'HEALTHCHECK').join(), /^CMD \[/);
    });

    it(`${name} leaves PATH to the registry, where Windows has it`, () => {
      assert.doesNotMatch(contentOf(path), /^ENV PATH\b/im);
    });

    if (name === 'client') continue;
    it(`${name} has the Node that everything is tested with, and checks what it downloads`, () => {
      assert.equal(argOf(dockerfile, 'NODE_VERSION'), pinnedNode);
      assert.match(argOf(dockerfile, 'NODE_SHA256') ?? '', /^[0-9a-f]{64}$/);
      assert.match(argOf(dockerfile, 'NODE_DIST') ?? '', /^https:/);
      assert.match(argumentsOf(dockerfile, 'RUN').join(), /install-node\.ps1$/);
    });
  }
});
