export { errorShapeOf, type ErrorShape } from './error-shape.ts';
export type { FastAnswer, FastPath, FastReply } from './fast-path.ts';
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
export { CLOSE_LINE, KEEP_ALIVE_LINES, MAX_REQUESTS_PER_SOCKET } from './keep-alive.ts';
export type { LocalAnswer } from './local-answer.ts';
export { MAX_BODY_BYTES, NO_BODY, readBody } from './read-body.ts';
export { localWireText, SERVER_HEADER, sendLocalAnswer, type SendOptions } from './send-answer.ts';
