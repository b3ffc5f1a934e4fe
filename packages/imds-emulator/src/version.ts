import packageJson from '../package.json' with { type: 'json' };

/** The package's version; lerna keeps it. */
export const VERSION: string = packageJson.version;
