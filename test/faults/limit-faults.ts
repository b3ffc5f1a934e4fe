import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, type Fault } from './bench.ts';
import { openFilesOf } from './leaks.ts';
import { mustRun } from './lab.ts';

const IDLE_CONNECTIONS = 200;
/** It has about 30 open when it is at rest. */
const PROXY_FILES = 64;
const ONE_SECOND_MILLIS = 1_000;

/** Opens connections to the proxy and keeps them until its input ends. */
const IDLE_PROGRAM = `
  const { connect } = require('node:net');
  for (let i = 0; i < ${IDLE_CONNECTIONS}; i += 1) connect(80, '169.254.169.254').on('error', () => {});
  process.stdin.resume().once('end', () => process.exit());`;

export const LIMIT_FAULTS: readonly Fault[] = [
  {
    name: 'proxy-files',
    title: `The proxy may open ${PROXY_FILES} files, and ${IDLE_CONNECTIONS} idle connections are made to it`,
    count: 10,
    unit: 'second',
    proxyArguments: ['--ulimit', `nofile=${PROXY_FILES}:${PROXY_FILES}`],
    run: async (bench, count) => {
      const pid = await bench.pidOf('proxy');
      let most = 0;
      await bench.excuse(async () => {
        await withIdleConnections(bench, async () => {
          for (let second = 0; second < count; second += 1) {
            await sleep(ONE_SECOND_MILLIS);
            most = Math.max(most, openFilesOf(pid));
          }
        });
        await bench.converge();
      });
      return `at most ${most} files were open`;
    },
  },
  {
    name: 'monitor-files',
    title: 'The monitor may open no more files',
    count: 20,
    unit: 'second',
    run: async (bench, count) => {
      await withNoMoreFiles(bench.monitor.pid, async () => sleep(count * ONE_SECOND_MILLIS));
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

async function withNoMoreFiles(pid: number, holds: () => Promise<unknown>): Promise<void> {
  const limitsOf = async () =>
    (await mustRun(['prlimit', '--pid', String(pid), '--nofile', '--noheadings', '--output', 'SOFT,HARD']))
      .trim()
      .split(/\s+/);
  const [soft, hard] = await limitsOf();
  const set = async (limit: string) =>
    mustRun(['prlimit', '--pid', String(pid), `--nofile=${limit}:${hard}`]);
  await set(String(openFilesOf(pid)));
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
