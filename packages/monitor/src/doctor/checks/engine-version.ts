import { ok, type Check } from '../check.ts';

export const engineVersionCheck: Check = {
  id: 'engine-version',
  title: 'Engine version',
  about: 'always',
  needs: ['engine'],
  async run({ engine }) {
    const { version, apiVersion } = await engine.version();
    return ok(`Docker ${version}, API ${apiVersion}`);
  },
};
