export { errorShapeOf, type ErrorShape } from './error-shape.ts';
export type { FastAnswer, FastPath } from './fast-path.ts';
export {
  HttpServer,
  KEEP_ALIVE_SECONDS,
  MAX_REQUESTS_PER_SOCKET,
  type HttpServerOptions,
} from './http-server.ts';
export {
  badRequest,
  forbidden,
  identityNotFound,
  internalError,
  jsonAnswer,
  methodNotAllowed,
  notFound,
  probeAnswer,
  serviceUnavailable,
  throttled,
} from './imds-answers.ts';
export type { LocalAnswer } from './local-answer.ts';
export { MAX_BODY_BYTES, NO_BODY, readBody } from './read-body.ts';
export { SERVER_HEADER, sendLocalAnswer, type SendOptions } from './send-answer.ts';
