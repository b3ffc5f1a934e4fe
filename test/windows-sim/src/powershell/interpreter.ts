import type { Node } from 'web-tree-sitter';
import { parsePowershell, syntaxProblems } from '../../../../scripts/lib/powershell-grammar.ts';
import { NotSimulated, type ProgramContext, type ProgramOutput } from '../commands/program.ts';
import { NonTerminating, type Cmdlet } from './cmdlet.ts';
import { NETWORK_CMDLETS } from './network-cmdlets.ts';
import { add, compare, subtract } from './operators.ts';
import { bind, ERROR_ACTIONS, type CommandArgument, type ErrorAction } from './parameters.ts';
import { SYSTEM_CMDLETS } from './system-cmdlets.ts';
import {
  collapse,
  enumerated,
  ErrorRecord,
  Hashtable,
  isArray,
  member,
  PsError,
  toBoolean,
  toInteger,
  toText,
  type Value,
} from './values.ts';

const CMDLETS = new Map(
  [...NETWORK_CMDLETS, ...SYSTEM_CMDLETS].map(cmdlet => [cmdlet.name.toLowerCase(), cmdlet]),
);

/** Nodes of the grammar that stand for their only child. */
const WRAPPERS: ReadonlySet<string> = new Set([
  'pipeline_chain',
  'logical_expression',
  'bitwise_expression',
  'comparison_expression',
  'additive_expression',
  'multiplicative_expression',
  'format_expression',
  'range_expression',
  'array_literal_expression',
  'unary_expression',
  'left_assignment_expression',
  'while_condition',
  'key_expression',
  'string_literal',
]);

/** Runs a script as `powershell -EncodedCommand` does. */
export async function runScript(script: string, context: ProgramContext): Promise<ProgramOutput> {
  const tree = await parsePowershell(script);
  try {
    const [problem] = syntaxProblems(tree);
    if (problem !== undefined) {
      return output([], [`At line:${problem.line} char:${problem.column}: ${problem.problem}`], 1);
    }
    return await new Interpreter(context).run(tree.rootNode);
  } finally {
    tree.delete();
  }
}

function output(lines: readonly string[], errors: readonly string[], exitCode: number): ProgramOutput {
  const joined = (texts: readonly string[]) => texts.map(text => `${text}\n`).join('');
  return { exitCode, stdout: joined(lines), stderr: joined(errors) };
}

/** The subset of the language that the product's scripts use. What is not known here is refused, never skipped. */
class Interpreter {
  readonly #context: ProgramContext;
  readonly #variables = new Map<string, Value>([
    ['true', true],
    ['false', false],
    ['null', null],
    ['erroractionpreference', 'Continue'],
    ['progresspreference', 'Continue'],
    ['warningpreference', 'Continue'],
  ]);
  readonly #errors: string[] = [];
  #lastSucceeded = true;

  constructor(context: ProgramContext) {
    this.#context = context;
  }

  async run(root: Node): Promise<ProgramOutput> {
    const values: Value[] = [];
    try {
      await this.#statements(root.namedChildren, values);
    } catch (error) {
      if (!(error instanceof PsError)) throw error;
      this.#report(error);
    }
    return output(values.map(asLine), this.#errors, this.#lastSucceeded ? 0 : 1);
  }

  #report({ record: { message, id } }: PsError): void {
    this.#lastSucceeded = false;
    this.#errors.push(message, `    + FullyQualifiedErrorId : ${id}`);
  }

  async #statements(nodes: readonly Node[], values: Value[]): Promise<void> {
    for (const node of nodes) await this.#statement(node, values);
  }

  async #statement(node: Node, values: Value[]): Promise<void> {
    switch (node.type) {
      case 'comment':
      case 'empty_statement':
        break;
      case 'statement_list':
        await this.#statements(node.namedChildren, values);
        break;
      case 'pipeline':
        values.push(...(await this.#pipeline(node)));
        break;
      case 'if_statement':
        await this.#if(node, values);
        break;
      case 'while_statement':
        await this.#while(node, values);
        break;
      case 'foreach_statement':
        await this.#foreach(node, values);
        break;
      case 'try_statement':
        await this.#try(node, values);
        break;
      case 'flow_control_statement':
        await this.#throw(node);
        break;
      default:
        throw unknown(node);
    }
  }

  async #block(block: Node, values: Value[]): Promise<void> {
    expectType(block, 'statement_block');
    await this.#statements(block.namedChildren, values);
  }

  async #if(node: Node, values: Value[]): Promise<void> {
    const block = await this.#chosenBlock(node);
    if (block !== undefined) await this.#block(block, values);
  }

  async #chosenBlock(node: Node): Promise<Node | undefined> {
    const [condition, block, ...others] = significant(node);
    if (toBoolean(await this.#value(condition))) return need(block, node);
    for (const other of others) {
      if (other.type === 'else_clause') return need(significant(other)[0], other);
      expectType(other, 'elseif_clauses');
      for (const clause of significant(other)) {
        const [clauseCondition, clauseBlock] = significant(clause);
        if (toBoolean(await this.#value(clauseCondition))) return need(clauseBlock, clause);
      }
    }
    return undefined;
  }

  async #while(node: Node, values: Value[]): Promise<void> {
    const [wrapper, block] = significant(node);
    const condition = wrapper && unwrapped(wrapper);
    while (toBoolean(await this.#value(condition))) await this.#block(need(block, node), values);
  }

  async #foreach(node: Node, values: Value[]): Promise<void> {
    const [variable, collection, block, ...others] = significant(node);
    if (others.length > 0) throw unknown(node);
    const name = need(variable, node);
    for (const value of enumerated(await this.#value(collection))) {
      this.#assign(name, value);
      await this.#block(need(block, node), values);
    }
  }

  async #try(node: Node, values: Value[]): Promise<void> {
    const [block, clauses, ...others] = significant(node);
    const [clause, ...furtherClauses] = significant(need(clauses, node));
    if (clauses?.type !== 'catch_clauses' || others.length > 0 || furtherClauses.length > 0)
      throw unknown(node);
    try {
      await this.#block(need(block, node), values);
    } catch (error) {
      if (!(error instanceof PsError)) throw error;
      this.#lastSucceeded = true;
      const outer = this.#variables.get('_') ?? null;
      this.#variables.set('_', error.record);
      await this.#block(need(significant(need(clause, node))[0], node), values);
      this.#variables.set('_', outer);
    }
  }

  async #throw(node: Node): Promise<never> {
    if (node.child(0)?.type !== 'throw') throw unknown(node);
    const [thrown] = significant(node);
    const value = await this.#value(thrown);
    if (typeof value !== 'string') throw unknown(node);
    throw new PsError(value, value);
  }

  /** The objects that a pipeline gives; there is only one command or expression in it here. */
  async #pipeline(node: Node): Promise<readonly Value[]> {
    const [only, ...others] = significant(node);
    if (only === undefined || others.length > 0) throw unknown(node);
    if (only.type === 'assignment_expression') {
      await this.#assignment(only);
      return [];
    }
    if (only.type === 'pipeline_chain') {
      const [element, ...further] = significant(only);
      if (element === undefined || further.length > 0) throw unknown(only);
      if (element.type === 'command') return await this.#command(element);
      const value = await this.#expression(element);
      this.#lastSucceeded = true;
      return enumerated(value);
    }
    throw unknown(only);
  }

  /** A pipeline as a value. An expression keeps its value as it is: an array of one stays an array. */
  async #value(node: Node | undefined): Promise<Value> {
    if (node === undefined) throw new NotSimulated('a condition that is missing');
    if (node.type !== 'pipeline') return await this.#expression(node);
    const element = node.namedChildren[0]?.namedChildren[0];
    if (node.namedChildCount !== 1 || node.namedChildren[0]?.type !== 'pipeline_chain') throw unknown(node);
    if (element === undefined || element.type === 'command') return collapse(await this.#pipeline(node));
    if (node.namedChildren[0].namedChildCount !== 1) throw unknown(node);
    return await this.#expression(element);
  }

  async #assignment(node: Node): Promise<void> {
    const [left, operator, right] = significant(node);
    const variable = unwrapped(need(left, node));
    expectType(variable, 'variable');
    const value = await this.#value(right);
    if (operator?.text === '=') this.#assign(variable, value);
    else if (operator?.text === '+=') this.#assign(variable, add(this.#read(variable), value));
    else throw unknown(node);
  }

  async #expression(wrapped: Node): Promise<Value> {
    const node = unwrapped(wrapped);
    switch (node.type) {
      case 'variable':
        return this.#read(node);
      case 'integer_literal':
        return integer(node);
      case 'verbatim_string_characters':
        return node.text.slice(1, -1).replaceAll("''", "'");
      case 'expandable_string_literal':
        return this.#expandable(node);
      case 'parenthesized_expression':
        return await this.#value(need(significant(node)[0], node));
      case 'array_expression': {
        const values: Value[] = [];
        await this.#statements(node.namedChildren, values);
        return values;
      }
      case 'array_literal_expression':
        return await this.#all(significant(node));
      case 'hash_literal_expression':
        return await this.#hashtable(node);
      case 'member_access': {
        const [object, name] = significant(node);
        if (node.child(1)?.text !== '.' || object?.type === 'type_literal') throw unknown(node);
        return member(await this.#expression(need(object, node)), need(name, node).text);
      }
      case 'element_access': {
        const [object, index] = significant(node);
        const value = await this.#expression(need(object, node));
        if (!isArray(value)) throw new NotSimulated(`an element of ${toText(value)}`);
        return value[toInteger(await this.#expression(need(index, node)))] ?? null;
      }
      case 'expression_with_unary_operator':
        return await this.#unary(node);
      case 'cast_expression':
        return await this.#cast(node);
      case 'comparison_expression': {
        const [left, operator, right] = significant(node);
        const leftValue = await this.#expression(need(left, node));
        return compare(need(operator, node).text, leftValue, await this.#expression(need(right, node)));
      }
      case 'additive_expression': {
        const [left, right] = await this.#all(significant(node));
        return this.#operatorOf(node) === '+' ? add(left!, right!) : subtract(left!, right!);
      }
      case 'logical_expression':
        return await this.#logical(node);
      default:
        throw unknown(node);
    }
  }

  async #all(nodes: readonly Node[]): Promise<Value[]> {
    const values: Value[] = [];
    for (const node of nodes) values.push(await this.#expression(node));
    return values;
  }

  #operatorOf(node: Node): string {
    return node.children.find(({ isNamed }) => !isNamed)?.text.toLowerCase() ?? '';
  }

  async #logical(node: Node): Promise<Value> {
    const [left, right] = significant(node);
    const isLeft = toBoolean(await this.#expression(need(left, node)));
    const operator = this.#operatorOf(node);
    if (operator !== '-and' && operator !== '-or') throw unknown(node);
    if (isLeft === (operator === '-or')) return isLeft;
    return toBoolean(await this.#expression(need(right, node)));
  }

  async #unary(node: Node): Promise<Value> {
    const [operand] = significant(node);
    if (operand?.type === 'cast_expression') return await this.#expression(operand);
    const operator = this.#operatorOf(node);
    if (operator !== '-not' && operator !== '!') throw unknown(node);
    return !toBoolean(await this.#expression(need(operand, node)));
  }

  async #cast(node: Node): Promise<Value> {
    const [type, operand] = significant(node);
    const value = await this.#expression(need(operand, node));
    switch (need(type, node).text.toLowerCase()) {
      case '[string]':
        return toText(value);
      case '[int]':
        return toInteger(value);
      case '[bool]':
        return toBoolean(value);
      default:
        throw unknown(node);
    }
  }

  #expandable(node: Node): string {
    let text = '';
    let position = node.startIndex + 1;
    const literal = (end: number) => {
      const part = node.text.slice(position - node.startIndex, end - node.startIndex);
      if (part.includes('`')) throw unknown(node);
      return part.replaceAll('""', '"');
    };
    for (const inner of significant(node)) {
      if (inner.type !== 'variable') throw unknown(inner);
      text += literal(inner.startIndex) + toText(this.#read(inner));
      position = inner.endIndex;
    }
    return text + literal(node.endIndex - 1);
  }

  async #hashtable(node: Node): Promise<Value> {
    const table = new Hashtable();
    const entries = significant(node).flatMap(significant);
    for (const entry of entries) {
      expectType(entry, 'hash_entry');
      const [key, value] = significant(entry);
      const name = unwrapped(need(key, entry));
      expectType(name, 'simple_name');
      if (table.has(name.text)) {
        throw new PsError(
          `Duplicate keys '${name.text}' are not allowed in hash literals.`,
          'DuplicateKeyInHashLiteral',
        );
      }
      table.set(name.text, await this.#value(value));
    }
    return table;
  }

  #read(variable: Node): Value {
    const name = variable.text.slice(1).toLowerCase();
    if (name === 'env:username') return this.#context.user;
    const value = this.#variables.get(name);
    // Windows reads nothing; a script that needs that is one with a typing mistake.
    if (value === undefined) throw new NotSimulated(`reading ${variable.text}, which nothing has set`);
    return value;
  }

  #assign(variable: Node, value: Value): void {
    const name = variable.text.slice(1).toLowerCase();
    if (['true', 'false', 'null'].includes(name)) {
      throw new PsError(
        `Cannot overwrite variable ${name} because it is read-only or constant.`,
        'VariableNotWritable',
      );
    }
    if (!/^\w+$/.test(name) || name === '_') throw unknown(variable);
    this.#variables.set(name, value);
  }

  async #command(node: Node): Promise<readonly Value[]> {
    const [nameNode, elements, ...others] = significant(node);
    if (nameNode?.type !== 'command_name' || others.length > 0) throw unknown(node);
    const name = nameNode.text;
    const parts = await this.#arguments(elements);
    const cmdlet = CMDLETS.get(name.toLowerCase());
    if (cmdlet !== undefined) return await this.#cmdlet(cmdlet, parts);
    const result = await this.#context.run(name, parts.map(nativeArgument));
    if (result === undefined) {
      throw new PsError(
        `The term '${name}' is not recognized as the name of a cmdlet, function, script file, or operable program.`,
        'CommandNotFoundException',
      );
    }
    this.#lastSucceeded = result.exitCode === 0;
    if (result.stderr !== '') this.#errors.push(result.stderr.trimEnd());
    return result.stdout === '' ? [] : result.stdout.replace(/\n$/, '').split('\n');
  }

  async #arguments(elements: Node | undefined): Promise<(CommandArgument & { readonly source: string })[]> {
    const parts: (CommandArgument & { readonly source: string })[] = [];
    let isAttached = false;
    for (const node of elements?.namedChildren ?? []) {
      if (node.type === 'command_argument_sep') {
        isAttached = node.text === ':';
        continue;
      }
      const last = parts.at(-1);
      if (node.type === 'command_parameter') {
        parts.push({ parameter: node.text.slice(1), source: node.text });
      } else {
        const value = await this.#argument(node);
        if (!isAttached) parts.push({ value, source: toText(value) });
        else if (last !== undefined && 'parameter' in last) parts.splice(-1, 1, { ...last, attached: value });
        else throw unknown(node);
      }
      isAttached = false;
    }
    return parts;
  }

  async #argument(node: Node): Promise<Value> {
    if (node.type !== 'generic_token') return await this.#expression(node);
    if (/[$`'"(){};,@]/.test(node.text)) throw unknown(node);
    return node.text;
  }

  async #cmdlet(cmdlet: Cmdlet, parts: readonly CommandArgument[]): Promise<readonly Value[]> {
    this.#lastSucceeded = true;
    const bound = bind(cmdlet.name, cmdlet.parameters, parts);
    try {
      return await cmdlet.run(bound, this.#context);
    } catch (error) {
      if (!(error instanceof NonTerminating)) throw error;
      const action = errorAction(
        bound.text('ErrorAction') ?? toText(this.#variables.get('erroractionpreference')!),
      );
      if (action === 'Stop') throw error;
      if (action === 'Continue') this.#report(error);
      this.#lastSucceeded = false;
      return [];
    }
  }
}

function errorAction(text: string): ErrorAction {
  const found = ERROR_ACTIONS.find(action => action.toLowerCase() === text.toLowerCase());
  if (found === undefined) throw new NotSimulated(`$ErrorActionPreference = ${text}`);
  return found;
}

function nativeArgument(argument: CommandArgument & { readonly source: string }): string {
  if ('attached' in argument) throw new NotSimulated(`-${argument.parameter}: for a program`);
  if ('value' in argument && isArray(argument.value)) throw new NotSimulated('an array for a program');
  return argument.source;
}

function asLine(value: Value): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return toText(value);
  throw new NotSimulated(`how ${value instanceof ErrorRecord ? 'an error' : toText(value)} is displayed`);
}

function integer(node: Node): number {
  if (!/^\d+$/.test(node.text)) throw unknown(node);
  return Number(node.text);
}

function significant(node: Node): Node[] {
  return node.namedChildren.filter(({ type }) => type !== 'comment');
}

function unwrapped(node: Node): Node {
  const [only, ...others] = significant(node);
  const isWrapper = WRAPPERS.has(node.type) && only !== undefined && others.length === 0;
  // `,x` is an array of one, and wrapped otherwise.
  return isWrapper && only.text === node.text ? unwrapped(only) : node;
}

function need(node: Node | undefined, parent: Node): Node {
  if (node === undefined) throw unknown(parent);
  return node;
}

function expectType(node: Node, type: string): void {
  if (node.type !== type) throw unknown(node);
}

function unknown(node: Node): NotSimulated {
  const { row, column } = node.startPosition;
  return new NotSimulated(`${node.type} at ${row + 1}:${column + 1}: ${node.text.split('\n', 1)[0] ?? ''}`);
}
