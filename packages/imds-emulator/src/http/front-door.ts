import type { Reply } from './reply.ts';

/**
 * What the web server in front of IMDS (HTTP.sys) answers by itself: HTML, its own `Server`, and the connection is
 * closed. Seen for header blocks that are too large (Azure/aad-pod-identity#332).
 */
export function frontDoorPage(title: string, explanation: string, status = 400): Reply {
  const heading = status === 400 ? `Bad Request - ${title}` : title;
  const body = [
    '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN""http://www.w3.org/TR/html4/strict.dtd">',
    `<HTML><HEAD><TITLE>${status === 400 ? 'Bad Request' : title}</TITLE>`,
    '<META HTTP-EQUIV="Content-Type" Content="text/html; charset=us-ascii"></HEAD>',
    `<BODY><h2>${heading}</h2>`,
    `<hr><p>HTTP Error ${status}. ${explanation}</p>`,
    '</BODY></HTML>',
    '',
  ].join('\r\n');
  return {
    status,
    headers: {
      'Content-Type': 'text/html; charset=us-ascii',
      Server: 'Microsoft-HTTPAPI/2.0',
      Connection: 'close',
    },
    body,
  };
}

export const INVALID_URL = frontDoorPage('Invalid URL', 'The request URL is invalid.');
export const INVALID_HOSTNAME = frontDoorPage('Invalid Hostname', 'The request hostname is invalid.');
export const SERVICE_UNAVAILABLE = frontDoorPage('Service Unavailable', 'The service is unavailable.', 503);

const TOO_LONG = frontDoorPage('Request Too Long', 'The size of the request headers is too long.');
const INVALID_VERB = frontDoorPage('Invalid Verb', 'The request verb is invalid.');
const MALFORMED = frontDoorPage('Invalid Header', 'The request has an invalid header name.');

/** The page for a request that Node's parser gave up on, by the parser's error code. */
export function parserErrorPage(code: string | undefined): Reply {
  if (code === 'HPE_HEADER_OVERFLOW') return TOO_LONG;
  return code === 'HPE_INVALID_METHOD' ? INVALID_VERB : MALFORMED;
}
