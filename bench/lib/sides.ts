import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './net.ts';
import type { BenchContext } from './part.ts';
import type { CpuList } from './binding.ts';
import { PinnedProcess, type Usage } from './processes.ts';
import { BenchProxy } from './product.ts';
import { FastUpstream, startNginx, type Arrivals } from './upstream.ts';

/** What everything is compared with. */
export const REFERENCE_SIDE = 'nginx';

export const PRODUCT_SIDE = 'msi-proxy';

/** A program to load, which runs already. */
export interface Side {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Asked instead of the workload's own target. */
  readonly target?: string | undefined;
  /** Not known of programs that somebody else started. */
  readonly usage?: () => Usage;
  /** What its own stand-in for IMDS has seen. */
  readonly arrivals?: () => Promise<Arrivals>;
  readonly stop: () => Promise<void>;
}

export interface SideOptions {
  readonly folder: string;
  /** For the program itself. */
  readonly cpus: CpuList | undefined;
  /** For everything else. */
  readonly loadCpus: CpuList | undefined;
  readonly proxyBundle: string;
  /** Whose requests the product serves. */
  readonly addresses: readonly string[];
  readonly nodeArguments: readonly string[];
}

type StartSide = (options: SideOptions) => Promise<Side>;

const HOST = '127.0.0.1';

/** The upstream itself, without anything before it. */
const startDirect: StartSide = async ({ folder, cpus }) => {
  const { port, process, ...upstream } = await startUpstream(folder, 'direct', cpus);
  return { name: 'direct', host: HOST, port, usage: () => process.usage(), ...upstream };
};

const startNginxProxy =
  (name: string, workers: number | 'auto'): StartSide =>
  async ({ folder, cpus, loadCpus }) => {
    const upstream = await startUpstream(folder, `${name}-upstream`, loadCpus);
    const port = await freePort();
    const nginx = await startNginx({
      folder,
      name,
      port,
      workers,
      cpus,
      upstreams: `upstream imds { server ${HOST}:${upstream.port}; keepalive 64; keepalive_requests 1000000000; }`,
      locations: `location / {
        proxy_pass http://imds;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
      }`,
    });
    return proxySide(name, port, nginx, upstream);
  };

const startHaproxy: StartSide = async ({ folder, cpus, loadCpus }) => {
  const upstream = await startUpstream(folder, 'haproxy-upstream', loadCpus);
  const port = await freePort();
  const file = join(folder, 'haproxy.cfg');
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend clients
  bind ${HOST}:${port}
  default_backend imds
backend imds
  server imds ${HOST}:${upstream.port}
`,
  );
  const haproxy = new PinnedProcess({ argv: ['haproxy', '-db', '-f', file], cpus });
  return proxySide('haproxy', port, haproxy, upstream);
};

const startProduct: StartSide = async options => {
  const { folder, cpus, loadCpus, proxyBundle, addresses, nodeArguments } = options;
  const upstream = await startUpstream(folder, `${PRODUCT_SIDE}-upstream`, loadCpus);
  const proxy = await BenchProxy.start({
    bundle: proxyBundle,
    folder,
    name: PRODUCT_SIDE,
    imdsPort: upstream.port,
    cpus,
    monitorCpus: loadCpus,
    addresses,
    nodeArguments,
  });
  const { port, process } = proxy;
  return {
    ...proxySide(PRODUCT_SIDE, port, process, upstream),
    stop: async () => {
      await proxy.stop();
      await upstream.stop();
    },
  };
};

/** Node's own server with the same answer, and nothing of ours: what the product could reach with it at best. */
const startBareNode: StartSide = async ({ folder, cpus }) => {
  const port = await freePort();
  const file = join(folder, 'bare-node.mjs');
  writeFileSync(
    file,
    `import { createServer } from 'node:http';
const body = Buffer.alloc(1_600, 'x').toString('latin1');
const head = ['Content-Type', 'application/json; charset=utf-8', 'Server', 'node', 'Content-Length', String(body.length)];
createServer({ noDelay: true }, (request, response) => {
  response.sendDate = false;
  response.writeHead(200, head);
  response.end(body, 'latin1');
}).listen(${port}, '${HOST}');
`,
  );
  const node = new PinnedProcess({ argv: [process.execPath, file], cpus });
  const side = { name: 'node:http', host: HOST, port, usage: () => node.usage(), stop: () => node.stop() };
  return side;
};

export const SIDES = {
  direct: startDirect,
  nginx: startNginxProxy(REFERENCE_SIDE, 1),
  'nginx, 2 workers': startNginxProxy('nginx, 2 workers', 2),
  haproxy: startHaproxy,
  'node:http': startBareNode,
  [PRODUCT_SIDE]: startProduct,
} as const satisfies Readonly<Record<string, StartSide>>;

export type SideName = keyof typeof SIDES;

export interface SidesPlan {
  readonly names: readonly SideName[];
  /** Each program on a CPU of its own, and the load on another; everything everywhere otherwise. */
  readonly arePinned: boolean;
}

/** Runs an action with sides that are there only while it lasts. */
export async function withSides(
  { folder, cpus, loadCpus, proxyBundle, nodeArguments }: BenchContext,
  { names, arePinned }: SidesPlan,
  action: (sides: readonly Side[], loadCpus: CpuList | undefined) => Promise<void>,
): Promise<void> {
  const options: SideOptions = {
    folder,
    cpus: arePinned ? cpus : undefined,
    loadCpus: arePinned ? loadCpus : undefined,
    proxyBundle,
    addresses: [HOST, '127.0.0.2'],
    nodeArguments,
  };
  const sides: Side[] = [];
  try {
    for (const name of names) sides.push(await SIDES[name](options));
    await action(sides, options.loadCpus);
  } finally {
    for (const side of sides) await side.stop();
  }
}

/** A program that somebody else has started, by `name=http://host:port` or `name=http://host:port/target`. */
export function sideByUrl(text: string): Side {
  const [name = '', address = ''] = text.split(/=(.*)/s);
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (name === '' || url?.protocol !== 'http:')
    throw new Error(`--url is "${text}": expected name=http://host:port or name=http://host:port/target`);
  const target = url.pathname === '/' && url.search === '' ? undefined : `${url.pathname}${url.search}`;
  return {
    name,
    host: url.hostname,
    port: Number(url.port === '' ? 80 : url.port),
    target,
    stop: () => Promise.resolve(),
  };
}

async function startUpstream(folder: string, name: string, cpus: CpuList | undefined) {
  const upstream = await FastUpstream.start({ folder, name, cpus });
  return {
    port: upstream.port,
    process: upstream.process,
    arrivals: () => upstream.arrivals(),
    stop: () => upstream.process.stop(),
  };
}

function proxySide(
  name: string,
  port: number,
  program: PinnedProcess,
  upstream: Awaited<ReturnType<typeof startUpstream>>,
): Side {
  return {
    name,
    host: HOST,
    port,
    usage: () => program.usage(),
    arrivals: upstream.arrivals,
    stop: async () => {
      await program.stop();
      await upstream.stop();
    },
  };
}
