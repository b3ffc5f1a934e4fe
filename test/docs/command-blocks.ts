/** A step of a block: commands that a reader copies, and what the page says they print. */
export interface Step {
  readonly commands: string;
  /** Absent where the page shows no output: then only the exit code counts. */
  readonly output?: string;
}

/** A fenced block of commands on a page, with what the page's invisible comments say about it. */
export interface CommandBlock {
  /** Of the fence, counted from 1. */
  readonly line: number;
  readonly language: string;
  readonly steps: readonly Step[];
  /** Commands that bring about what the block is about. */
  readonly preparation?: string;
  /** The output comes after a moment: the commands are repeated until it is there. */
  readonly eventually: boolean;
  /** Of each step: 0 unless the page says otherwise. */
  readonly exitCode: number;
  /** Why no test runs it. */
  readonly notRun?: string;
}

const COMMAND_LANGUAGES = new Set(['sh', 'bash', 'console', 'powershell']);
const FENCE = /^```(\w*)\s*$/;
const COMMENT_START = '<!--';
const COMMENT_END = '-->';
const PAGE_NOT_RUN = /^<!-- commands of this page are not run: (.+) -->$/m;

/**
 * Reads the blocks of commands of a page. `sh` is what a reader copies; `console` has commands after `$ `, each with what
 * it prints, where `…` stands for anything. Comments directly above the fence say more:
 * `<!-- not run: reason -->`, `<!-- eventually -->`, `<!-- exit code: 2 -->`, `<!-- before: commands -->` (of one or of
 * many lines). `<!-- commands of this page are not run: reason -->` holds for a whole page.
 *
 * @throws {Error} naming the line of a fence or comment without an end, or of a fence below a comment that is none of these
 */
export function readCommandBlocks(markdown: string): CommandBlock[] {
  const lines = markdown.split('\n');
  const pageNotRun = PAGE_NOT_RUN.exec(markdown)?.[1];
  const blocks: CommandBlock[] = [];
  let comments = NO_COMMENTS;
  for (let index = 0; index < lines.length; index += 1) {
    const text = lines[index]!;
    if (text.startsWith(COMMENT_START)) {
      const start = index;
      while (!lines[index]!.endsWith(COMMENT_END)) {
        index += 1;
        if (index === lines.length) throw new Error(`line ${start + 1}: the comment has no end`);
      }
      comments = { ...comments, ...readComment(lines.slice(start, index + 1).join('\n')) };
      continue;
    }
    const fence = FENCE.exec(text);
    if (fence !== null) {
      const start = index;
      index = lines.indexOf('```', start + 1);
      if (index < 0) throw new Error(`line ${start + 1}: the fence has no end`);
      const language = fence[1]!;
      if (COMMAND_LANGUAGES.has(language)) {
        if (comments.unknown !== undefined) {
          throw new Error(`line ${start + 1}: the comment "${comments.unknown}" says nothing about commands`);
        }
        const body = lines.slice(start + 1, index);
        const notRun = comments.notRun ?? pageNotRun;
        blocks.push({
          line: start + 1,
          language,
          steps: language === 'console' ? readConsole(body, start + 2) : [{ commands: body.join('\n') }],
          eventually: comments.eventually,
          exitCode: comments.exitCode,
          ...(comments.preparation !== undefined && { preparation: comments.preparation }),
          ...(notRun !== undefined && { notRun }),
        });
      }
    }
    if (text.trim() !== '') comments = NO_COMMENTS;
  }
  return blocks;
}

interface Comments extends Pick<CommandBlock, 'eventually' | 'exitCode' | 'preparation' | 'notRun'> {
  /** A comment that is not in this form. */
  readonly unknown?: string;
}

const NO_COMMENTS: Comments = { eventually: false, exitCode: 0 };

function readComment(comment: string): Partial<Comments> {
  const text = comment.slice(COMMENT_START.length, -COMMENT_END.length).trim();
  if (text === 'eventually') return { eventually: true };
  const [, kind, rest] = /^(not run|before|exit code):\s+([^]+)$/.exec(text) ?? [];
  if (kind === 'not run') return { notRun: rest!.replaceAll(/\s+/g, ' ') };
  if (kind === 'before') return { preparation: rest! };
  if (kind === 'exit code') return { exitCode: Number(rest) };
  return { unknown: text };
}

function readConsole(lines: readonly string[], firstLine: number): Step[] {
  const steps: { commands: string[]; output: string[] }[] = [];
  let continued = false;
  for (const [index, line] of lines.entries()) {
    const last = steps.at(-1);
    if (line.startsWith('$ ')) steps.push({ commands: [line.slice(2)], output: [] });
    else if (last === undefined) throw new Error(`line ${firstLine + index}: expected a command after "$ "`);
    else if (continued) last.commands.push(line);
    else last.output.push(line);
    continued = (line.startsWith('$ ') || continued) && line.endsWith('\\');
  }
  return steps.map(({ commands, output }) => ({
    commands: commands.join('\n'),
    ...(output.length > 0 && { output: output.join('\n') }),
  }));
}
