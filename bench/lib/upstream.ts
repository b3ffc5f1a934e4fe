import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fetchText, freePort } from './net.ts';
import type { CpuList } from './binding.ts';
import { PinnedProcess } from './processes.ts';
import { ANSWERS } from './workloads.ts';

/** What the stand-in for IMDS has seen. */
export interface Arrivals {
  readonly connections: number;
  readonly requests: number;
  /** Connections that are open. */
  readonly open: number;
}

// Limits of nginx that would end connections in the middle of a measurement.
const NGINX_COMMON = `
daemon off;
user root;
pid PIDFILE;
error_log stderr warn;
events { worker_connections 4096; }
`;

export interface NginxOptions {
  readonly folder: string;
  readonly name: string;
  readonly port: number;
  readonly workers: number | 'auto';
  readonly cpus: CpuList | undefined;
  /** Inside `http`. */
  readonly upstreams?: string;
  /** Inside `server`. */
  readonly locations: string;
}

/** nginx on loopback, without logs, in the foreground. */
export async function startNginx(options: NginxOptions): Promise<PinnedProcess> {
  const { folder, port, workers, cpus, upstreams = '', locations } = options;
  // nginx ends a path in its configuration at a space or a comma.
  const name = options.name.replaceAll(/[^\w-]+/g, '-');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map(kind => `${kind}_temp_path ${join(folder, `${name}-${kind}`)};`)
    .join('\n');
  const file = join(folder, `${name}.conf`);
  writeFileSync(
    file,
    `worker_processes ${workers};
${NGINX_COMMON.replace('PIDFILE', join(folder, `${name}.pid`))}
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 75s;
  default_type "application/json; charset=utf-8";
  ${temporary}
  ${upstreams}
  server {
    listen 127.0.0.1:${port};
    ${locations}
  }
}
`,
  );
  const nginx = new PinnedProcess({ argv: ['nginx', '-e', 'stderr', '-p', folder, '-c', file], cpus });
  return await nginx.ready(async () => (await fetchText(port, '/')).status > 0);
}

/** Stands in for IMDS: nginx that answers from memory, and counts. */
export class FastUpstream {
  readonly port: number;
  readonly process: PinnedProcess;

  private constructor(port: number, process: PinnedProcess) {
    this.port = port;
    this.process = process;
  }

  static async start({ folder, name, cpus }: { folder: string; name: string; cpus: CpuList | undefined }) {
    const port = await freePort();
    const locations = Object.entries(ANSWERS).map(
      ([path, answer]) => `location = ${path} {
        if ($http_metadata != "true") { return 400 '{"error":"invalid_request"}'; }
        return 200 '${JSON.stringify(answer)}';
      }`,
    );
    const nginx = await startNginx({
      folder,
      name,
      port,
      workers: 1,
      cpus,
      locations: `${locations.join('\n')}\nlocation = /status { stub_status; }`,
    });
    return new FastUpstream(port, nginx);
  }

  /** Counted since its start, without those that ask for the counts. */
  async arrivals(): Promise<Arrivals> {
    const { body } = await fetchText(this.port, '/status');
    const [, open] = /^Active connections: (\d+) $/m.exec(body) ?? [];
    const [, connections, requests] = /^ (\d+) \d+ (\d+) $/m.exec(body) ?? [];
    if (open === undefined || connections === undefined || requests === undefined)
      throw new Error(`nginx does not report its counts: ${body}`);
    return { connections: Number(connections), requests: Number(requests), open: Number(open) };
  }
}
