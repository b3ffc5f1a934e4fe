import type { Reply } from '../http/reply.ts';

/** In every answer of `/metadata/reprovisiondata`; a test finds it where it must not be. */
export const REPROVISION_SECRET = 'imds-emulator-reprovision-secret';

/**
 * `/metadata/reprovisiondata`: not documented, but cloud-init reads the provisioning document with the administrator's
 * password from it (canonical/cloud-init `cloudinit/sources/azure/imds.py`). Here so that tests can show that it cannot
 * be reached.
 */
export function answerReprovisionData(): Reply {
  return {
    status: 200,
    headers: { 'Content-Type': 'text/xml; charset=utf-8' },
    body: [
      '<?xml version="1.0" encoding="utf-8"?>',
      '<Environment xmlns="http://schemas.dmtf.org/ovf/environment/1">',
      `<LinuxProvisioningConfigurationSet><UserName>azureuser</UserName><UserPassword>${REPROVISION_SECRET}</UserPassword></LinuxProvisioningConfigurationSet>`,
      '</Environment>',
    ].join('\n'),
  };
}
