import { NotSimulated } from '../commands/program.ts';
import { Enumeration, isArray, PsError, toInteger, toText, type Value } from './values.ts';

/** `+`, also of arrays and texts: the type of the left side decides. */
export function add(left: Value, right: Value): Value {
  if (isArray(left)) return [...left, ...(isArray(right) ? right : [right])];
  if (typeof left === 'string') return left + toText(right);
  if (typeof left === 'number') return left + toInteger(right);
  if (left === null) return right;
  throw new PsError(
    "Method invocation failed because it does not contain a method named 'op_Addition'.",
    'MethodNotFound',
  );
}

export function subtract(left: Value, right: Value): Value {
  return toInteger(left) - toInteger(right);
}

/** Comparison operators. Texts are compared without regard to case. */
export function compare(operator: string, left: Value, right: Value): Value {
  // With a collection on the left, they filter instead of comparing.
  if (isArray(left)) throw new NotSimulated(`${operator} with a collection on its left`);
  switch (operator.toLowerCase()) {
    case '-eq':
      return isEqual(left, right);
    case '-ne':
      return !isEqual(left, right);
    case '-gt':
      return order(left, right) > 0;
    case '-ge':
      return order(left, right) >= 0;
    case '-lt':
      return order(left, right) < 0;
    case '-le':
      return order(left, right) <= 0;
    case '-match':
      return regularExpression(toText(right), 'iu').test(toText(left));
    case '-notmatch':
      return !regularExpression(toText(right), 'iu').test(toText(left));
    case '-replace': {
      const [pattern = null, replacement = null] = isArray(right) ? right : [right];
      return toText(left).replaceAll(regularExpression(toText(pattern), 'giu'), literal(toText(replacement)));
    }
    default:
      throw new NotSimulated(`the operator ${operator}`);
  }
}

function isEqual(left: Value, right: Value): boolean {
  if (left === null || right === null) return left === right;
  if (left instanceof Enumeration) return toText(left).toLowerCase() === toText(right).toLowerCase();
  if (typeof left === 'string') return left.toLowerCase() === toText(right).toLowerCase();
  if (typeof left === 'number') return left === toInteger(right);
  if (typeof left === 'boolean') return typeof right === 'boolean' && left === right;
  throw new NotSimulated(`comparing ${toText(left)}`);
}

function order(left: Value, right: Value): number {
  if (typeof left === 'number') return left - toInteger(right);
  if (typeof left === 'string') return left.toLowerCase().localeCompare(toText(right).toLowerCase());
  throw new NotSimulated(`the order of ${toText(left)}`);
}

/** What .NET and JavaScript read alike; the rest is refused. */
function regularExpression(pattern: string, flags: string): RegExp {
  if (/\(\?|\\[^sSdDwW.\\/[\](){}*+?^$|-]|\\[pPbBAzZGk]/.test(pattern)) {
    throw new NotSimulated(`the regular expression ${pattern}`);
  }
  return new RegExp(pattern.replaceAll(String.raw`\-`, '-'), flags);
}

function literal(replacement: string): string {
  if (replacement.includes('$')) throw new NotSimulated(`the replacement ${replacement}`);
  return replacement;
}
