/** After which a connection without a request is closed. */
export const KEEP_ALIVE_SECONDS = 5;

export const MAX_REQUESTS_PER_SOCKET = 1_000;

/** What Node adds to an answer after which the connection goes on. */
export const KEEP_ALIVE_LINES = `Connection: keep-alive\r\nKeep-Alive: timeout=${KEEP_ALIVE_SECONDS}, max=${MAX_REQUESTS_PER_SOCKET}\r\n`;

/** What Node adds to the last answer of a connection. */
export const CLOSE_LINE = 'Connection: close\r\n';
