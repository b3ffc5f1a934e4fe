export type DockerHost =
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export const DEFAULT_DOCKER_HOST = 'unix:///var/run/docker.sock';

/** Reads `DOCKER_HOST`; `undefined` for forms that are not supported (`ssh://` and misspellings). */
export function parseDockerHost(text: string): DockerHost | undefined {
  if (text.startsWith('unix:///')) return { kind: 'socket', path: text.slice('unix://'.length) };
  const pipe = /^npipe:\/\/\/\/\.\/pipe\/([\w.-]+)$/.exec(text);
  if (pipe !== null) return { kind: 'socket', path: `//./pipe/${pipe[1]!}` };
  const tcp = /^tcp:\/\/(?:\[([0-9a-fA-F:]+)\]|([\w.-]+)):(\d{1,5})\/?$/.exec(text);
  const host = tcp?.[1] ?? tcp?.[2];
  return host === undefined ? undefined : { kind: 'tcp', host, port: Number(tcp?.[3]) };
}
