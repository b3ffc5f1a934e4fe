export { errorShapeOf, type ErrorShape } from './error-shape.ts';
export { HttpServer, type HttpServerOptions } from './http-server.ts';
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
export { SERVER_HEADER, sendLocalAnswer, type SendOptions } from './send-answer.ts';
