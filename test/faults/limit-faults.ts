import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, type Fault } from './bench.ts';
import { openFilesOf } from './leaks.ts';
import { mustRun } from './lab.ts';

const IDLE_CONNECTIONS = 100;
const FREE_FILES = 10;
const ONE_SECOND_MILLIS = 1_000;

/** Opens connections to the proxy and keeps them until its input ends. */
const IDLE_PROGRAM = `
  const { connect } = require('node:net');
  for (let i = 0; i < ${IDLE_CONNECTIONS}; i += 1) connect(80, '169.254.169.254').on('error', () => {});
  process.stdin.resume().once('end', () => process.exit());`;

export const LIMIT_FAULTS: readonly Fault[] = [
  {
    name: 'proxy-files',
    title: `The proxy may open ${FREE_FILES} files more, and ${IDLE_CONNECTIONS} idle connections are made to it`,
    count: 10,
    unit: 'second',
    run: async (bench, count) => {
      await bench.excuse(async () => {
        await withFewFiles(await bench.pidOf('proxy'), async () => {
          await withIdleConnections(bench, async () => sleep(count * ONE_SECOND_MILLIS));
        });
        await bench.converge();
      });
      return undefined;
    },
  },
  {
    name: 'monitor-files',
    title: 'The monitor may open no more files',
    count: 20,
    unit: 'second',
    run: async (bench, count) => {
      await withFewFiles(bench.monitor.pid, async () => sleep(count * ONE_SECOND_MILLIS), 0);
      await bench.converge();
      return undefined;
    },
  },
  {
    name: 'log-disk-full',
    title: 'What monitor and proxy log cannot be written (/dev/full)',
    count: 10,
    unit: 'second',
    logsFull: true,
    run: async (bench, count) => {
      await sleep(count * ONE_SECOND_MILLIS);
      await bench.converge();
      return undefined;
    },
  },
];

async function withFewFiles(pid: number, holds: () => Promise<unknown>, free = FREE_FILES): Promise<void> {
  const limitsOf = async () =>
    (await mustRun(['prlimit', '--pid', String(pid), '--nofile', '--noheadings', '--output', 'SOFT,HARD']))
      .trim()
      .split(/\s+/);
  const [soft, hard] = await limitsOf();
  const set = async (limit: string) =>
    mustRun(['prlimit', '--pid', String(pid), `--nofile=${limit}:${hard}`]);
  await set(String(openFilesOf(pid) + free));
  try {
    await holds();
  } finally {
    await set(soft!);
  }
}

async function withIdleConnections(bench: Bench, holds: () => Promise<unknown>): Promise<void> {
  const pid = await bench.pidOf('alpha');
  const argv = [`--net=/proc/${pid}/ns/net`, process.execPath, '--eval', IDLE_PROGRAM];
  const child = spawn('nsenter', argv, { stdio: ['pipe', 'ignore', 'ignore'] });
  try {
    await holds();
  } finally {
    const ended = once(child, 'exit');
    child.stdin.end();
    await ended;
  }
}
