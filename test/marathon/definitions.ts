import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../../scripts/lib/repository.ts';

/** An app definition as far as the tests look into it; the schema beside this file says what one may hold. */
export interface MarathonApp {
  readonly id: string;
  readonly instances?: number;
  readonly cmd?: string;
  readonly args?: readonly string[];
  readonly cpus: number;
  /** In MiB, although Marathon says MB: Mesos multiplies by 1024. */
  readonly mem: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly constraints?: readonly (readonly string[])[];
  readonly networks?: readonly { readonly mode: string; readonly name?: string }[];
  readonly healthChecks?: readonly {
    readonly protocol: string;
    readonly command?: { readonly value: string };
  }[];
  readonly taskKillGracePeriodSeconds?: number;
  readonly upgradeStrategy?: {
    readonly minimumHealthCapacity: number;
    readonly maximumOverCapacity: number;
  };
  readonly container: {
    readonly docker: {
      readonly image: string;
      readonly privileged?: boolean;
      readonly parameters?: readonly { readonly key: string; readonly value: string }[];
    };
    readonly volumes?: readonly HostVolume[];
    readonly portMappings?: readonly unknown[];
  };
}

export interface HostVolume {
  readonly containerPath: string;
  readonly hostPath: string;
  readonly mode: 'RO' | 'RW';
}

const FOLDER = join(repositoryRoot, 'deploy/marathon');

/** Names of the definitions that we ship, without `.json`. */
export const DEFINITION_NAMES: readonly string[] = readdirSync(FOLDER)
  .filter(name => name.endsWith('.json'))
  .map(name => name.slice(0, -'.json'.length))
  .sort();

export function definitionFile(name: string): string {
  return join(FOLDER, `${name}.json`);
}

export function readApp(name: string): MarathonApp {
  return JSON.parse(readFileSync(definitionFile(name), 'utf8')) as MarathonApp;
}
