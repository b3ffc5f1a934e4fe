import { EOL } from 'node:os';
import type { Writable } from 'node:stream';
import winston from 'winston';
import { lineWriter } from './line-writer.ts';
import { redactText, redactValue } from './redact.ts';

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * Facts of a log line, by name. `containerId` is shortened to 12 characters, `err` takes anything that was thrown, and
 * secrets are masked.
 */
export type LogFields = Readonly<Record<string, unknown>> & {
  readonly containerId?: string;
  readonly err?: unknown;
};

export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to each of its lines. */
  child(fields: LogFields): Logger;
  /** Changes the level of this logger and all of its children while running. */
  setLevel(level: LogLevel): void;
}

export interface LoggerOptions {
  readonly component: string;
  readonly level?: LogLevel;
  /** Where lines go: for programs standard output, because container engines collect it. */
  readonly stream: Writable;
}

const SHORT_ID_LENGTH = 12;

/**
 * A logger that writes one JSON object a line with `time` in UTC, `level`, `msg`, `component`. Lines for which a reader that
 * has stopped leaves no room are left out, and counted.
 */
export function createLogger({ component, level = 'info', stream }: LoggerOptions): Logger {
  const lineOf = (lineLevel: string, message: string, fields: Record<string, unknown>) =>
    JSON.stringify({
      time: new Date().toISOString(),
      level: lineLevel,
      msg: redactText(message),
      component,
      ...fields,
    });
  const lines = lineWriter(
    stream,
    count => lineOf('warn', 'The log was not read for a while; lines are missing', { lines: count }) + EOL,
  );
  const root = winston.createLogger({
    level,
    exitOnError: false,
    transports: [new winston.transports.Stream({ stream: lines })],
    format: winston.format.printf(({ level: lineLevel, message, fields }) =>
      lineOf(lineLevel, String(message), fields as Record<string, unknown>),
    ),
  });
  const setLevel = (newLevel: LogLevel) => {
    root.level = newLevel;
  };
  return wrap(root, {}, setLevel);
}

/** A logger that writes nothing, for tools that embed a part of the product. */
export const silentLogger: Logger = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  child: () => silentLogger,
  setLevel() {},
};

function wrap(root: winston.Logger, inherited: LogFields, setLevel: (level: LogLevel) => void): Logger {
  const write = (level: LogLevel) => (message: string, fields?: LogFields) => {
    if (root.isLevelEnabled(level))
      root.log({ level, message, fields: printableFields({ ...inherited, ...fields }) });
  };
  return {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    child: fields => wrap(root, { ...inherited, ...fields }, setLevel),
    setLevel,
  };
}

function printableFields({ containerId, ...fields }: LogFields): Record<string, unknown> {
  return {
    ...(containerId !== undefined && { containerId: containerId.slice(0, SHORT_ID_LENGTH) }),
    ...(redactValue(fields) as Record<string, unknown>),
  };
}
