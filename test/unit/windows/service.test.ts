import assert from 'node:assert/strict';
import { parseDockerHost } from '../../../packages/monitor/src/docker/index.ts';
import { MONITOR_SETTINGS } from '../../../packages/monitor/src/config.ts';
import { contentOf } from './tracked-files.ts';

const SCRIPT = contentOf('deploy/windows-service/msi-monitor-service.ps1');
const CONFIGURATION = contentOf('deploy/windows-service/msi-monitor-service.xml');

/** Names of the elements that are open at the end; a closing one that does not fit throws. */
function openElements(xml: string): string[] {
  const open: string[] = [];
  for (const [, slash, name, selfClosing] of xml
    .replace(/<!--.*?-->/gs, '')
    .matchAll(/<(\/?)(\w+)[^>]*?(\/?)>/g)) {
    if (slash === '/') assert.equal(open.pop(), name);
    else if (selfClosing !== '/') open.push(name!);
  }
  return open;
}

function functionText(name: string): string {
  const [text] = new RegExp(String.raw`^function ${name}\b.*?^\}`, 'ms').exec(SCRIPT) ?? [];
  assert.ok(text !== undefined, `${name} is not there`);
  return text;
}

describe('the Windows service of the monitor', () => {
  it('has a configuration that is XML, with settings that the monitor knows', () => {
    assert.deepEqual(openElements(CONFIGURATION), []);
    const known: readonly string[] = Object.values(MONITOR_SETTINGS).map(({ env }) => env);
    const settings = [...CONFIGURATION.matchAll(/<env name="(\w+)" value="([^"]*)" \/>/g)];
    for (const [, name] of settings) assert.ok(known.includes(name!), name);
    const dockerHost = settings.find(([, name]) => name === 'DOCKER_HOST')?.[2] ?? '';
    assert.deepEqual(parseDockerHost(dockerHost), { kind: 'socket', path: '//./pipe/docker_engine' });
  });

  it('takes every setting of the monitor, and nothing else', () => {
    const pattern = /\$text -notmatch '([^']+)'/.exec(SCRIPT)?.[1] ?? '';
    for (const { env } of Object.values(MONITOR_SETTINGS)) assert.match(`${env}=x`, new RegExp(pattern), env);
    for (const text of ['PATH=x', 'MSI_MONITOR_GUARD', '=x']) assert.doesNotMatch(text, new RegExp(pattern));
  });

  describe('that is replaced', () => {
    const install = functionText('Install-Monitor');

    it('runs until all that the next one needs is there and checked', () => {
      const steps = install.match(
        /\b(?:Copy-Program|Write-Configuration|Initialize-LogFolder|Remove-MonitorService|Invoke-Wrapper|Start-Monitor)\b/g,
      );
      assert.deepEqual(steps, [
        'Copy-Program',
        'Copy-Program',
        'Write-Configuration',
        'Initialize-LogFolder',
        'Remove-MonitorService',
        'Invoke-Wrapper',
        'Start-Monitor',
      ]);
    });

    it('has nothing written into its folder before', () => {
      const before = install.slice(0, install.indexOf('Remove-MonitorService'));
      assert.doesNotMatch(before, /\$Folder\b(?!\.\$)|\$wrapper\b/);
      assert.match(install, /finally \{\s+Remove-Item -LiteralPath \$staging /);
    });

    it('passes its settings on, which those that are given replace', () => {
      assert.match(install, /Write-Configuration \(@\(Get-InstalledSetting\) \+ \$Setting\) /);
      assert.match(functionText('Get-InstalledSetting'), /SelectNodes\('env'\)/);
    });

    it('is looked for where it is registered, and not replaced from another folder', () => {
      const main = SCRIPT.slice(SCRIPT.indexOf('$installedFolder = '), SCRIPT.indexOf('switch ('));
      const inOrder = [
        /\$Action -eq 'install' -and \$PSBoundParameters\.ContainsKey\('Folder'\) -and \$installedFolder -ne \$Folder/,
        /throw /,
        /\$Folder = \$installedFolder/,
        /\$wrapper = Join-Path -Path \$Folder /,
      ].map(pattern => main.search(pattern));
      assert.ok(!inOrder.includes(-1), inOrder.join(' '));
      assert.deepEqual(
        inOrder,
        inOrder.toSorted((a, b) => a - b),
      );
    });
  });

  it('is stopped in more time than a call to the engine may take', () => {
    assert.match(CONFIGURATION, /<stoptimeout>30 sec<\/stoptimeout>/);
  });

  it('has an answer to every action that its script takes', () => {
    const actions = /ValidateSet\(([^)]*)\)/.exec(SCRIPT)?.[1]?.match(/\w+/g) ?? [];
    const answered = [...SCRIPT.slice(SCRIPT.indexOf('switch (')).matchAll(/^ {4}'(\w+)' \{/gm)];
    assert.deepEqual(
      answered.map(([, action]) => action),
      actions,
    );
  });

  it('runs on the Node that the images have', () => {
    const dockerfile = contentOf('images/monitor/Dockerfile.windows');
    const version = /^ARG NODE_VERSION=(.*)$/m.exec(dockerfile)?.[1];
    const hash = /^ARG NODE_SHA256=(.*)$/m.exec(dockerfile)?.[1];
    assert.ok(SCRIPT.includes(`https://nodejs.org/dist/v${version}/win-x64/node.exe'`));
    assert.ok(SCRIPT.includes(`'${hash}'`));
  });
});
