import type { HostPort } from '@msi-proxy/shared';
import { createEmulator, type Emulator, type EmulatorOptions } from '../../../src/index.ts';

export const ANY_PORT: HostPort = { host: '127.0.0.1', port: 0 };

interface RunningEmulator {
  readonly emulator: Emulator;
  readonly address: HostPort;
  readonly control: HostPort;
  readonly vmExtension: HostPort;
}

/** Runs a test with an emulator on loopback, which is gone afterwards. */
export async function withEmulator(
  options: EmulatorOptions,
  test: (running: RunningEmulator) => Promise<void>,
): Promise<void> {
  const emulator = createEmulator(options);
  try {
    const { listen, controlListen, vmExtensionListen } = await emulator.start({
      listen: ANY_PORT,
      controlListen: ANY_PORT,
      vmExtensionListen: ANY_PORT,
    });
    await test({ emulator, address: listen, control: controlListen!, vmExtension: vmExtensionListen! });
  } finally {
    await emulator.stop();
  }
}
