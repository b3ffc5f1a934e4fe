export type DockerHost =
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export const DEFAULT_DOCKER_HOST = 'unix:///var/run/docker.sock';

/** Said in messages: `expected <this>`. */
export const DOCKER_HOST_GRAMMAR = 'unix:///path, tcp://host:port or npipe:////./pipe/name';

/** Reads `DOCKER_HOST`; `undefined` for what {@link DOCKER_HOST_GRAMMAR} does not name, such as `ssh://`. */
export function parseDockerHost(text: string): DockerHost | undefined {
  if (/^unix:\/\/\/./.test(text)) return { kind: 'socket', path: text.slice('unix://'.length) };
  const pipe = /^npipe:\/\/\/\/\.\/pipe\/([\w.-]+)$/.exec(text);
  if (pipe !== null) return { kind: 'socket', path: `//./pipe/${pipe[1]!}` };
  const tcp = /^tcp:\/\/(?:\[([0-9a-fA-F:]+)\]|([\w.-]+)):(\d{1,5})\/?$/.exec(text);
  const host = tcp?.[1] ?? tcp?.[2];
  const port = Number(tcp?.[3]);
  return host === undefined || port === 0 || port > 65_535 ? undefined : { kind: 'tcp', host, port };
}
