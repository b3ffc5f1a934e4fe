import assert from 'node:assert/strict';
import { contentOf } from './tracked-files.ts';

const SHELL = contentOf('images/client/startup.sh');

/** What users and scripts see of startup.sh, which end-to-end tests run. */
const MESSAGES = [
  ': no proxy serves, or the monitor has not wired this container (is it labelled MSIClientContainer?)',
  'the proxy answered ',
  'not served after ',
  'a whole number of seconds from 0 to 9999',
  'no command given: name one after the image, or in CMD of an image that is based on this one',
  'starting the command all the same (MSI_CLIENT_WAIT_FAILURE=continue)',
  'http://169.254.169.254/.msi-proxy/ready',
];
const EXIT_CODES = [1, 64, 78];

describe('the startup scripts for Windows', () => {
  it('are held to what the one for Linux says', () => {
    for (const message of MESSAGES) assert.ok(SHELL.includes(message), message);
  });

  for (const path of ['images/client/startup.cmd', 'images/client/startup.ps1']) {
    const script = contentOf(path);

    it(`${path} says the same`, () => {
      for (const message of MESSAGES) assert.ok(script.includes(message), message);
    });

    it(`${path} reads the same settings and ends with the same codes`, () => {
      const settings = new Set(SHELL.match(/\bMSI_CLIENT_[A-Z_]+\b/g));
      assert.deepEqual(new Set(script.match(/\bMSI_CLIENT_[A-Z_]+\b/g)), settings);
      for (const code of EXIT_CODES) assert.match(script, new RegExp(`\\bexit (?:/b )?${code}\\b`));
    });
  }

  it('never lets a value become a part of a command line', () => {
    // Where it is read as %NAME%, only digits can be in it.
    const uses = contentOf('images/client/startup.cmd').match(/^.*%MSI_CLIENT_.*$/gm);
    assert.deepEqual(
      uses?.map(line => line.trim()),
      ['set "wait_seconds=%MSI_CLIENT_WAIT_SECONDS%"'],
    );
  });
});
