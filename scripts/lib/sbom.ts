import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from './repository.ts';

/** A package in npm's lock file. */
interface LockedPackage {
  readonly name?: string;
  readonly version?: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  /** Of a link: the folder that it leads to. */
  readonly resolved?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface LockFile {
  /** By folder, from the root of the repository. */
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

export interface Component {
  readonly type: 'library' | 'application';
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly licenses?: readonly { readonly license: { readonly name: string } }[];
  readonly hashes?: readonly { readonly alg: 'SHA-512'; readonly content: string }[];
}

/** What a package is made of (CycloneDX 1.5). */
export interface Sbom {
  readonly bomFormat: 'CycloneDX';
  readonly specVersion: '1.5';
  readonly version: 1;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

export function readLockFile(): LockFile {
  return JSON.parse(readFileSync(join(repositoryRoot, 'package-lock.json'), 'utf8')) as LockFile;
}

/**
 * Lists everything that is installed with a package of this repository, from the lock file: what `npm sbom` leaves out of
 * workspaces is there too.
 *
 * @param folder such as `packages/proxy`
 */
export function sbomOf(folder: string, lockFile: LockFile): Sbom {
  const components = new Map<string, Component>();
  const dependencies = new Map<string, readonly string[]>();
  const visit = (location: string): string => {
    const component = componentAt(location, lockFile);
    const reference = component['bom-ref'];
    if (components.has(reference)) return reference;
    components.set(reference, component);
    const found = dependenciesOf(location, lockFile).map(visit);
    dependencies.set(reference, [...new Set(found)].sort());
    return reference;
  };
  const root = visit(folder);
  const [own, ...others] = [...components.values()];
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: { component: { ...own!, type: 'application' } },
    components: others.sort((a, b) => (a['bom-ref'] < b['bom-ref'] ? -1 : 1)),
    dependencies: [...dependencies]
      .map(([ref, dependsOn]) => ({ ref, dependsOn }))
      .sort((a, b) => Number(b.ref === root) - Number(a.ref === root) || (a.ref < b.ref ? -1 : 1)),
  };
}

/** Where the packages are that this one requires. */
function dependenciesOf(location: string, { packages }: LockFile): string[] {
  const { dependencies = {}, optionalDependencies = {} } = packages[location] ?? {};
  const required = Object.keys(dependencies).map(name => {
    const found = locate(name, location, packages);
    if (found === undefined) throw new Error(`${location} needs ${name}, which the lock file does not have`);
    return found;
  });
  const optional = Object.keys(optionalDependencies).map(name => locate(name, location, packages));
  return [...required, ...optional.filter(found => found !== undefined)];
}

/** As Node looks for it: in each `node_modules` from the package's folder up. */
function locate(name: string, from: string, packages: LockFile['packages']): string | undefined {
  for (let folder = from; ; folder = folder.includes('/') ? folder.slice(0, folder.lastIndexOf('/')) : '') {
    const candidate = `${folder}${folder === '' ? '' : '/'}node_modules/${name}`;
    const entry = packages[candidate];
    if (entry !== undefined) return entry.link === true ? entry.resolved : candidate;
    if (folder === '') return undefined;
  }
}

function componentAt(location: string, { packages }: LockFile): Component {
  const { name: alias, version = '', license, integrity } = packages[location] ?? {};
  const name = alias ?? location.slice(location.lastIndexOf('node_modules/') + 'node_modules/'.length);
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  return {
    type: 'library',
    'bom-ref': purl,
    name,
    version,
    purl,
    ...(license !== undefined && { licenses: [{ license: { name: license } }] }),
    ...(integrity !== undefined && { hashes: [{ alg: 'SHA-512', content: sha512Of(integrity) }] }),
  };
}

/** npm writes it in base64. */
function sha512Of(integrity: string): string {
  const match = /(?:^| )sha512-([A-Za-z0-9+/=]+)/.exec(integrity);
  if (match === null) throw new Error(`"${integrity}" has no SHA-512`);
  return Buffer.from(match[1]!, 'base64').toString('hex');
}
