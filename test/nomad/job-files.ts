import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from '@cdktn/hcl2json';
import { repositoryRoot } from '../../scripts/lib/repository.ts';

/** What this product's job files have of the Docker driver's options (nomad, drivers/docker/config.go). */
export interface DockerConfig {
  readonly image: string;
  readonly command?: string;
  readonly args?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly network_mode?: string;
  readonly volumes?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly readonly_rootfs?: boolean;
  readonly security_opt?: readonly string[];
  readonly pids_limit?: number;
  readonly mount?: readonly { readonly type: 'tmpfs'; readonly target: string }[];
}

export interface NomadTask {
  readonly name: string;
  readonly config: DockerConfig;
  readonly env: Readonly<Record<string, string>>;
  readonly resources: { readonly cpu: number; readonly memory: number };
  readonly templates: readonly { readonly destination: string; readonly data: string }[];
}

/** When a task that ended is started again. */
export interface NomadRestart {
  readonly attempts?: number;
  readonly interval?: string;
  readonly delay?: string;
  readonly mode?: string;
}

export interface NomadJob {
  readonly type: string;
  /** Of each group. */
  readonly restarts: readonly NomadRestart[];
  readonly tasks: readonly NomadTask[];
}

type Block<Content> = readonly [Content];
interface TaskBlock {
  readonly config: Block<DockerConfig>;
  readonly env?: Block<Record<string, string>>;
  readonly resources: Block<NomadTask['resources']>;
  readonly template?: NomadTask['templates'];
}
interface GroupBlock {
  readonly restart?: Block<NomadRestart>;
  readonly task: Readonly<Record<string, Block<TaskBlock>>>;
}
interface JobFile {
  readonly variable: Readonly<Record<string, Block<{ readonly default: string }>>>;
  readonly job: Readonly<
    Record<
      string,
      Block<{
        readonly type: string;
        readonly group: Readonly<Record<string, Block<GroupBlock>>>;
      }>
    >
  >;
}

/**
 * A job file as HashiCorp's own parser of its language reads it.
 *
 * @param variables those that shall have other values than their defaults
 */
export async function readJob(
  name: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<NomadJob> {
  const path = join(repositoryRoot, 'deploy/nomad', `${name}.nomad.hcl`);
  const parsed = (await parse(path, readFileSync(path, 'utf8'))) as JobFile;
  const withVariables = JSON.stringify(parsed.job).replaceAll(
    /\$\{var\.(\w+)\}/g,
    (_, variable: string) => variables[variable] ?? parsed.variable[variable]![0].default,
  );
  const [job] = (JSON.parse(withVariables) as JobFile['job'])[name]!;
  const tasks = Object.values(job.group).flatMap(([group]) => Object.entries(group.task));
  return {
    type: job.type,
    restarts: Object.values(job.group).map(([group]) => group.restart?.[0] ?? {}),
    tasks: tasks.map(([taskName, [task]]) => ({
      name: taskName,
      config: task.config[0],
      env: task.env?.[0] ?? {},
      resources: task.resources[0],
      templates: task.template ?? [],
    })),
  };
}
