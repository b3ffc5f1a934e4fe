import { connect } from 'node:net';
import {
  encodeMessage,
  MessageDecoder,
  messageOf,
  MsiProxyError,
  PROXY_MESSAGE_TYPES,
  type Clock,
  type FlushTokens,
  type ListCallers,
  type ListTokens,
  type ProxyMessage,
} from '@msi-proxy/shared';

const ANSWER_TIMEOUT_MILLIS = 5_000;

/**
 * Asks the server in this container over its control socket.
 *
 * @throws {MsiProxyError} `MSI_CONTROL_UNAVAILABLE`
 */
export async function ask<Answer extends ProxyMessage>(
  socketPath: string,
  clock: Clock,
  request: ListTokens | FlushTokens | ListCallers,
  type: Answer['type'],
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const fail = (cause: unknown) => {
    const text = `No answer of the proxy at ${socketPath}: ${messageOf(cause)}`;
    reject(new MsiProxyError('MSI_CONTROL_UNAVAILABLE', text, { cause }));
  };
  const decoder = new MessageDecoder<ProxyMessage>(PROXY_MESSAGE_TYPES);
  const socket = connect(socketPath);
  const timer = clock.setTimer(() => fail(new Error('it takes too long')), ANSWER_TIMEOUT_MILLIS);
  socket.on('error', fail);
  socket.on('close', () => fail(new Error('it closed the connection')));
  socket.on('data', (chunk: Buffer) => {
    try {
      const answer = decoder.push(chunk).find((message): message is Answer => message.type === type);
      if (answer !== undefined) resolve(answer);
    } catch (error) {
      fail(error);
    }
  });
  socket.write(encodeMessage(request));
  try {
    return await promise;
  } finally {
    timer.cancel();
    socket.destroy();
  }
}
