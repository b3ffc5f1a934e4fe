export { DEFAULT_DOCKER_HOST, parseDockerHost } from './docker-host.ts';
export { createEngineClient } from './dockerode-client.ts';
export type {
  ContainerDetails,
  ContainerNetwork,
  ContainerState,
  ContainerSummary,
  EngineClient,
  EngineEvent,
  EngineVersion,
  ExecOptions,
  ExecResult,
  ExecStream,
  NetworkDetails,
  NewNetwork,
} from './engine-client.ts';
