import { hasClientLabel, hasProxyLabel, messageOf, type Logger } from '@msi-proxy/shared';
import type { EngineEvent } from '../../docker/index.ts';
import type { LinkNetwork } from './link-network.ts';

export interface AttachmentOptions {
  readonly link: LinkNetwork;
  readonly logger: Logger;
}

/** What `attach` does ahead of the wiring of single clients, so that a client finds it done when it starts. */
export class Attachment {
  readonly #link: LinkNetwork;
  readonly #logger: Logger;

  constructor({ link, logger }: AttachmentOptions) {
    this.#link = link;
    this.#logger = logger;
  }

  /** Makes the network. */
  async prepare(): Promise<void> {
    await this.#link.ensure();
  }

  /** Gives the address of IMDS to the proxy that serves. Failures are tried again with the wiring of each client. */
  async setProxy(containerId: string): Promise<void> {
    try {
      await this.#link.giveAddress(containerId);
    } catch (err) {
      this.#logger.warn('The proxy could not be given the address of IMDS', { err, containerId });
    }
  }

  /**
   * Connects a client that was just created: the engine starts it in a moment, and what is connected by then is there
   * before its first instruction. Its labels are in the event, since asking for them would cost that moment.
   */
  async containerCreated({ actorId, attributes }: EngineEvent): Promise<void> {
    if (!hasClientLabel(attributes) || hasProxyLabel(attributes)) return;
    try {
      await this.#link.connect(actorId);
    } catch (error) {
      // It cannot be on a network of ours, or is gone. If it starts, the status says what is wrong.
      this.#logger.debug(`A container could not be connected ahead of its start: ${messageOf(error)}`, {
        containerId: actorId,
      });
    }
  }
}
