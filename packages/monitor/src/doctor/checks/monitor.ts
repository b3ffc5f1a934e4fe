import { MsiProxyError } from '@msi-proxy/shared';
import { failed, ok, warning, type Check } from '../check.ts';

const START =
  'Start it: docker run -d --name msi-monitor --restart always --network host --pid host --cap-add NET_ADMIN -v /var/run:/host/run -e DOCKER_HOST=unix:///host/run/docker.sock msi-proxy/monitor. If it listens elsewhere, set MSI_MONITOR_LISTEN as it has it.';

/** A monitor runs, follows the engine, and is of this version. */
export const monitorCheck: Check = {
  id: 'monitor',
  title: 'Monitor',
  about: 'always',
  async run({ status, version }) {
    try {
      const { engine, startedAt, version: running } = await status();
      if (engine.state !== 'connected') {
        return failed(
          `it runs, but the Docker engine is ${engine.state}${engine.lastError === undefined ? '' : `: ${engine.lastError}`}`,
          'Check DOCKER_HOST of the monitor, and that the folder of the socket is mounted, not the socket.',
        );
      }
      if (running !== version) {
        return warning(
          `version ${running} runs, this is ${version}`,
          'Run the doctor of the running monitor: docker exec msi-monitor msi-monitor doctor.',
        );
      }
      return ok(`version ${running}, since ${startedAt}`);
    } catch (error) {
      if (!(error instanceof MsiProxyError)) throw error;
      return failed(error.message, START);
    }
  },
};
