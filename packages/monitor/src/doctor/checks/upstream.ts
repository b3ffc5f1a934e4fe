import { failed, ok, warning, type Check } from '../check.ts';

/** The proxy's own route to IMDS, as the proxy sees it. */
export const proxyRouteCheck: Check = {
  id: 'proxy-route',
  title: 'Route to IMDS',
  about: 'always',
  needs: ['proxy'],
  async run({ proxyCheck }) {
    const { route } = await proxyCheck();
    if (route.ok) return ok(route.seen);
    return failed(
      route.seen,
      'Start the proxy with --cap-add NET_ADMIN on a bridge network that is not internal, without MSI_PROXY_ROUTE=off.',
    );
  },
};

/** IMDS answers the proxy. It is never asked from anywhere else than the proxy's container. */
export const imdsCheck: Check = {
  id: 'imds',
  title: 'IMDS',
  about: 'always',
  needs: ['proxy-route'],
  async run({ proxyCheck }) {
    const { imds } = await proxyCheck();
    if (imds.ok) return ok(imds.seen);
    return failed(
      imds.seen,
      'Check that the VM itself reaches http://169.254.169.254/metadata/versions (header Metadata: true), and that no firewall of the VM keeps the proxies’ network from it. With MSI_PROXY_UPSTREAM=vm-extension IMDS may be absent.',
    );
  },
};

/** The proxy's server is well, as its own health check sees it. */
export const proxyServerCheck: Check = {
  id: 'proxy-server',
  title: 'Proxy’s server',
  about: 'always',
  needs: ['proxy'],
  async run({ proxyCheck, servingProxy }) {
    const { server, callers, policy } = await proxyCheck();
    const name = (await servingProxy())?.name ?? '';
    if (!server.ok)
      return failed(server.seen, `Look at its log: docker logs ${name}; docker restart ${name}.`);
    if (policy.mode === 'audit') {
      return warning(
        'policies are only recorded (MSI_PROXY_POLICY is audit): every labelled container gets what it asks for',
        'Take the setting away once the log has no would-deny lines any more.',
      );
    }
    const known =
      callers === undefined ? '' : `; it knows ${callers.length} address${callers.length === 1 ? '' : 'es'}`;
    return ok(server.seen + known);
  },
};
