import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HEARTBEAT_INTERVAL_MILLIS, type Caller } from '@msi-proxy/shared';
import { FakeMonitor } from '../../unit/support/fake-monitor.ts';
import { harmlessSettings, Program, withFolder } from '../../unit/support/program.ts';
import { callerAt } from '../../unit/support/callers.ts';
import { CLIENT_ADDRESS } from '../../unit/support/raw-client.ts';
import { answerText, RawUpstream } from '../../unit/support/raw-upstream.ts';
import { tokenText } from '../../unit/support/token-text.ts';

/** The proxy as a process of its own, in front of an IMDS that shows every byte that it gets. */
export interface TappedProxy {
  readonly imds: RawUpstream;
  readonly program: Program;
  readonly port: number;
  /** Files and sockets that the process has open. */
  descriptors(): number;
  residentMiB(): number;
}

export interface TappedProxyOptions {
  readonly callers?: readonly Caller[];
  readonly settings?: Readonly<Record<string, string>>;
}

/** Runs a test with a proxy that serves a client with the default policy at {@link CLIENT_ADDRESS}. */
export async function withTappedProxy(
  { callers = [callerAt(CLIENT_ADDRESS)], settings = {} }: TappedProxyOptions,
  test: (proxy: TappedProxy) => Promise<void>,
): Promise<void> {
  const imds = new RawUpstream();
  imds.respond = ({ text, socket }) => {
    socket.write(answerText(text.includes('/oauth2/token?') ? tokenText() : '{"ok":true}'));
  };
  await imds.start();
  try {
    await withFolder(async folder => {
      const program = new Program(['serve'], {
        ...harmlessSettings(folder),
        MSI_PROXY_IMDS_ADDRESS: `127.0.0.1:${imds.port}`,
        ...settings,
      });
      let pulse: NodeJS.Timeout | undefined;
      try {
        const port = await program.ready();
        const monitor = await new FakeMonitor(join(folder, 'run/control.sock')).join(callers);
        pulse = setInterval(
          () => monitor.send({ type: 'heartbeat', sessionId: 'session' }),
          HEARTBEAT_INTERVAL_MILLIS,
        );
        await test({
          imds,
          program,
          port,
          descriptors: () => readdirSync(`/proc/${program.pid}/fd`).length,
          residentMiB: () => residentKiB(program.pid) / 1024,
        });
        monitor.leave();
      } finally {
        clearInterval(pulse);
        await program.kill();
      }
    });
  } finally {
    await imds.stop();
  }
}

function residentKiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** What a client with the default policy may cause at IMDS. */
const ALLOWED_REQUEST_LINE =
  /^(GET|HEAD) \/metadata\/(versions|identity\/oauth2\/token\?[!-~]+|identity\/info\?[!-~]+|instance(\/[!-~]+)?\?[!-~]+|loadbalancer\?[!-~]+) HTTP\/1\.1$/;
const FORBIDDEN_PLACES = /attested|userdata|reprovision|scheduledevents|credential|\.\.|\/\/|\\|%2f|%5c/i;

/**
 * In words, what is wrong with bytes that arrived at IMDS as one request; undefined when a client that may use the default
 * endpoints may have caused them.
 */
export function complaintAbout(text: string): string | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end + 4 !== text.length) return 'there are bytes behind the head';
  const [requestLine = '', ...headers] = text.slice(0, end).split('\r\n');
  if (!ALLOWED_REQUEST_LINE.test(requestLine)) return `the request line ${JSON.stringify(requestLine)}`;
  const [, target = ''] = requestLine.split(' ');
  if (FORBIDDEN_PLACES.test(target.split('resource=')[0]!)) return `the target ${JSON.stringify(target)}`;
  const malformed = headers.find(line => !/^[A-Za-z0-9-]+: [\t -~]*$/.test(line));
  if (malformed !== undefined) return `the header line ${JSON.stringify(malformed)}`;
  const names = headers.map(line => line.slice(0, line.indexOf(':')).toLowerCase());
  const metadata = headers.filter(line => /^metadata:/i.test(line));
  if (metadata.length !== 1 || !/: true$/i.test(metadata[0]!)) return 'the Metadata header';
  const odd = names.find(name =>
    /^(x-forwarded-|forwarded$|via$|transfer-encoding$|content-length$|upgrade$|te$|trailer$|expect$|x-.*(url|method))/.test(
      name,
    ),
  );
  return odd === undefined ? undefined : `the header ${odd}`;
}
