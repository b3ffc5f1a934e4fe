import { MsiProxyError } from '@msi-proxy/shared';
import { engineRemedy } from '../../docker/index.ts';
import { failed, ok, type Check } from '../check.ts';

/** The engine's socket is there, may be used, and somebody answers. */
export const engineCheck: Check = {
  id: 'engine',
  title: 'Docker engine',
  about: 'always',
  async run({ engine, platform }) {
    try {
      await engine.ping();
      return ok(`${engine.host} answers`);
    } catch (error) {
      if (!(error instanceof MsiProxyError)) throw error;
      return failed(error.message, engineRemedy(error, engine.host, platform));
    }
  },
};
