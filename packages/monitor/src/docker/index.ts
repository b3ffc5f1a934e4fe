export { DEFAULT_DOCKER_HOST, DOCKER_HOST_GRAMMAR, parseDockerHost } from './docker-host.ts';
export { createEngineClient } from './dockerode-client.ts';
export type {
  ContainerDetails,
  ContainerNetwork,
  ContainerState,
  ContainerSummary,
  EngineClient,
  EngineEvent,
  EngineVersion,
  EventOptions,
  ExecOptions,
  ExecResult,
  ExecStream,
  NetworkDetails,
  NetworkMember,
  NewNetwork,
  RunExecOptions,
} from './engine-client.ts';
export { engineRemedy } from './engine-remedy.ts';
export { runningContainerNames } from './running-container-names.ts';
