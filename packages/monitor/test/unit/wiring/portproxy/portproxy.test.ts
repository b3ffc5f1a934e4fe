import assert from 'node:assert/strict';
import { FakeClock } from '@msi-proxy/shared/testing';
import { createPortproxyWiring } from '../../../../src/wiring/portproxy/portproxy.ts';
import type { WirableClient } from '../../../../src/wiring/wiring-method.ts';
import { network } from '../../support/clients.ts';
import {
  CLIENT_ADDRESS,
  engineRefusal,
  FakeWindowsEngine,
  reportText,
  windowsClient,
  windowsTarget,
  WORKING_REPORT,
  type Report,
} from './fake-windows.ts';

function wiringOn(engine: FakeWindowsEngine) {
  return createPortproxyWiring({ engine, clock: new FakeClock() });
}

/** A container with PowerShell, whose scripts print this report. */
function engineReporting(changes: Partial<Report> = {}): FakeWindowsEngine {
  return new FakeWindowsEngine(() => ({ stdout: reportText(changes) }));
}

describe('portproxy', () => {
  describe('suits', () => {
    const reasonFor = (changes: Partial<WirableClient>) => {
      const suitability = wiringOn(engineReporting()).suits({ ...windowsClient, ...changes });
      return suitability.suitable ? undefined : suitability.reason;
    };

    it('takes Windows containers on a NAT network, also one of their own', () => {
      assert.equal(reasonFor({}), undefined);
      assert.equal(reasonFor({ networks: [network({ name: 'shop', driver: 'nat' })] }), undefined);
    });

    it('takes a simulated one, whose network is a bridge', () => {
      assert.equal(reasonFor({ networks: [network()] }), undefined);
    });

    it('refuses Linux containers', () => {
      assert.match(reasonFor({ platform: 'linux' }) ?? '', /platform is linux/);
    });

    it('refuses Hyper-V isolation, and says what to do', () => {
      assert.match(
        reasonFor({ isolation: 'hyperv' }) ?? '',
        /--isolation=process.*AZURE_POD_IDENTITY_AUTHORITY_HOST/,
      );
    });

    it('refuses containers without a NAT network, and names what they have', () => {
      const transparent = network({ name: 'office', driver: 'transparent' });
      assert.match(reasonFor({ networks: [transparent] }) ?? '', /NAT network .*office \(transparent\)/);
      assert.match(reasonFor({ networks: [] }) ?? '', /networks: none/);
      const unconnected = network({ name: 'nat', driver: 'nat', address: '' });
      assert.match(reasonFor({ networks: [unconnected] }) ?? '', /no address on a NAT network/);
    });

    it('refuses paused containers', () => {
      assert.match(reasonFor({ paused: true }) ?? '', /paused/);
    });
  });

  describe('with PowerShell', () => {
    it('does all in one command, as administrator', async () => {
      const engine = engineReporting({ changes: ['dad', 'address', 'set'] });
      assert.equal(await wiringOn(engine).apply(windowsClient, windowsTarget), 'applied');
      assert.equal(engine.execs.length, 1);
      const [{ argv, user } = { argv: [], user: '' }] = engine.execs;
      assert.equal(user, 'ContainerAdministrator');
      assert.deepEqual(argv.slice(0, -1), [
        'powershell',
        '-NoLogo',
        '-NoProfile',
        '-NonInteractive',
        '-ExecutionPolicy',
        'Bypass',
        '-OutputFormat',
        'Text',
        '-EncodedCommand',
      ]);
      const [script = ''] = engine.scripts;
      assert.match(script, new RegExp(`^\\$ClientAddress = '${CLIENT_ADDRESS}'$`, 'm'));
      assert.match(script, /^\$ProxyUri = 'http:\/\/172\.21\.192\.9:80\/\.msi-proxy\/ready'$/m);
    });

    it('tells what it did', async () => {
      const resultOf = async (changes: readonly string[]) =>
        await wiringOn(engineReporting({ changes })).apply(windowsClient, windowsTarget);
      assert.equal(await resultOf([]), 'unchanged');
      assert.equal(await resultOf(['service', 'address', 'set']), 'applied');
      assert.equal(await resultOf(['retarget', 'set', 'replace', 'restart']), 'applied');
      assert.equal(await resultOf(['set']), 'repaired');
      assert.equal(await resultOf(['service']), 'repaired');
      assert.equal(await resultOf(['wrong-address', 'address', 'set']), 'repaired');
    });

    it('sends a client to the proxy by a network that both are on', async () => {
      const engine = engineReporting();
      const shop = network({ name: 'shop', driver: 'nat', address: '172.30.0.5' });
      const client = { ...windowsClient, networks: [...windowsClient.networks, shop] };
      const target = { ...windowsTarget, addressesByNetwork: { shop: '172.30.0.9' } };
      await assert.rejects(wiringOn(engine).apply(client, target), /leads to 172\.21\.192\.9:80/);
      assert.match(engine.scripts[0] ?? '', /^\$ClientAddress = '172\.30\.0\.5'$/m);
      assert.match(engine.scripts[0] ?? '', /^\$ProxyAddress = '172\.30\.0\.9'$/m);
    });

    it('reads a report among other output, wrapped by a console', async () => {
      const report = reportText().replace('"user"', '"us\r\ner"');
      const engine = new FakeWindowsEngine(() => ({ stdout: `WARNUNG: {etwas}\r\n${report}\r\nEnde` }));
      assert.equal(await wiringOn(engine).apply(windowsClient, windowsTarget), 'unchanged');
    });

    it('reads lists that PowerShell has wrapped, or written as their only element', async () => {
      const rules = { value: ['169.254.169.254 80 172.21.192.9 80'], Count: 1 };
      const [address] = WORKING_REPORT.addresses;
      const engine = engineReporting({ rules, addresses: address, changes: null });
      assert.equal(await wiringOn(engine).apply(windowsClient, windowsTarget), 'unchanged');
    });

    it('says that PowerShell gave no report', async () => {
      for (const stdout of [
        '',
        'msi-proxy-report',
        'msi-proxy-report\r\n{"user":',
        'msi-proxy-report\r\n[]',
      ]) {
        const engine = new FakeWindowsEngine(() => ({ exitCode: 1, stdout, stderr: 'ParserError' }));
        await assert.rejects(wiringOn(engine).apply(windowsClient, windowsTarget), {
          code: 'MSI_WIRING_COMMAND',
          message: /without a report \(exit code 1\)/,
        });
      }
    });

    it('refuses to write into a script what is no address or instance id', async () => {
      const engine = engineReporting();
      for (const changes of [{ instanceId: "x'; rm" }, { instanceId: '.*' }, { port: 0 }]) {
        const target = { ...windowsTarget, ...changes };
        await assert.rejects(wiringOn(engine).apply(windowsClient, target), { code: 'MSI_INTERNAL' });
      }
      assert.equal(engine.execs.length, 0);
    });
  });

  describe('reads back that', () => {
    const failures: [what: string, report: Partial<Report>, code: string, message: RegExp][] = [
      [
        'another one owns the address',
        { failedStep: 'preferred', failure: 'duplicate', failureId: 'duplicate', addresses: [] },
        'MSI_WIRING_DUPLICATE_ADDRESS',
        /owns 169\.254\.169\.254/,
      ],
      [
        'the address stays tentative',
        { failedStep: 'preferred', failure: 'not-preferred' },
        'MSI_WIRING_NOT_EFFECTIVE',
        /did not become usable/,
      ],
      [
        'no interface has the address that Docker tells',
        { failedStep: 'interface', failure: 'no-interface' },
        'MSI_WIRING_NOT_EFFECTIVE',
        /none of its interfaces/,
      ],
      [
        'the image has no service for forwarding',
        { failedStep: 'service', failure: 'no-service' },
        'MSI_WIRING_NOT_APPLICABLE',
        /no service iphlpsvc.*AZURE_POD_IDENTITY_AUTHORITY_HOST/,
      ],
      [
        'the service does not start, in the words of the image',
        {
          failedStep: 'service',
          failure: 'Der Dienst "iphlpsvc" kann nicht gestartet werden.',
          failureId: 'StartServiceFailed,Microsoft.PowerShell.Commands.StartServiceCommand',
        },
        'MSI_WIRING_SERVICE',
        /kann nicht gestartet werden/,
      ],
      [
        'the proxy cannot be reached from there',
        { failedStep: 'rule', failure: 'proxy-unreachable' },
        'MSI_WIRING_PROXY_UNREACHABLE',
        /172\.21\.192\.9:80/,
      ],
      [
        'commands have no rights, whatever the language',
        {
          user: 'ContainerUser',
          failedStep: 'dad',
          failure: '?????????????',
          failureId: 'Windows System Error 5,Set-NetIPInterface',
        },
        'MSI_WIRING_NOT_APPLICABLE',
        /without the rights of ContainerAdministrator \(as ContainerUser\)/,
      ],
      [
        'the service may not be started as ContainerUser',
        {
          user: 'ContainerUser',
          failedStep: 'service',
          failureId: 'CouldNotStartService,Microsoft.PowerShell.Commands.StartServiceCommand',
        },
        'MSI_WIRING_NOT_APPLICABLE',
        /without the rights/,
      ],
      [
        'the image lacks a command',
        {
          failedStep: 'interface',
          failure: "The term 'Get-NetIPAddress' is not recognized",
          failureId: 'CommandNotFoundException',
        },
        'MSI_WIRING_NOT_APPLICABLE',
        /lacks a command.*Get-NetIPAddress/,
      ],
      [
        'a command failed in another way',
        {
          failedStep: 'address',
          failure: 'Invalid parameter',
          failureId: 'Windows System Error 87,New-NetIPAddress',
        },
        'MSI_WIRING_COMMAND',
        /address: Invalid parameter.*Error 87/,
      ],
      ['the address is missing', { addresses: [] }, 'MSI_WIRING_NOT_EFFECTIVE', /is missing/],
      [
        'the address is on another interface',
        { addresses: [{ interfaceIndex: 1, prefixLength: 32, state: 'Preferred', skipAsSource: true }] },
        'MSI_WIRING_NOT_EFFECTIVE',
        /not, or not only, on the interface/,
      ],
      [
        'the address has a wide prefix',
        { addresses: [{ interfaceIndex: 29, prefixLength: 16, state: 'Preferred', skipAsSource: true }] },
        'MSI_WIRING_NOT_EFFECTIVE',
        /prefix of 16 bits/,
      ],
      [
        'the address may be a source',
        { addresses: [{ interfaceIndex: 29, prefixLength: 32, state: 'Preferred', skipAsSource: false }] },
        'MSI_WIRING_NOT_EFFECTIVE',
        /source address/,
      ],
      [
        'the address is a duplicate by now',
        { addresses: [{ interfaceIndex: 29, prefixLength: 32, state: 'Duplicate', skipAsSource: true }] },
        'MSI_WIRING_NOT_EFFECTIVE',
        /state Duplicate/,
      ],
      ['the service stopped', { service: 'Stopped' }, 'MSI_WIRING_NOT_EFFECTIVE', /iphlpsvc is stopped/],
      [
        'the rule is missing',
        { rules: ['127.0.0.1 80 172.21.192.9 80'] },
        'MSI_WIRING_NOT_EFFECTIVE',
        /rule of the port proxy is missing/,
      ],
      [
        'no rule is taken at all',
        { rules: [], changes: ['set', 'replace', 'restart'] },
        'MSI_WIRING_NOT_APPLICABLE',
        /no port proxy/,
      ],
      [
        'the rule leads elsewhere',
        { rules: ['169.254.169.254 80 172.21.192.7 80'] },
        'MSI_WIRING_NOT_EFFECTIVE',
        /leads to 172\.21\.192\.7:80/,
      ],
      [
        'the rule is listed, but nothing listens',
        { listeners: [], answer: [] },
        'MSI_WIRING_NOT_EFFECTIVE',
        /nothing listens at 169\.254\.169\.254:80/,
      ],
      [
        'another program has the port',
        { listeners: ['0.0.0.0'], answer: [] },
        'MSI_WIRING_NOT_EFFECTIVE',
        /port 80 is taken on 0\.0\.0\.0/,
      ],
      [
        'what listens does not answer',
        { answer: [] },
        'MSI_WIRING_NOT_EFFECTIVE',
        /got no answer, although something listens/,
      ],
      [
        'another proxy answers',
        { answer: ['HTTP/1.1 200 OK', 'x-msi-proxy-instance: instance-0'] },
        'MSI_WIRING_NOT_EFFECTIVE',
        /by another proxy \(status 200\)/,
      ],
      [
        'somebody else answers',
        { answer: ['HTTP/1.1 404 Not Found'] },
        'MSI_WIRING_NOT_EFFECTIVE',
        /not by a proxy \(status 404\)/,
      ],
    ];

    for (const [what, report, code, message] of failures) {
      it(what, async () => {
        const wiring = wiringOn(engineReporting(report));
        await assert.rejects(wiring.apply(windowsClient, windowsTarget), { code, message });
      });
    }
  });

  describe('verify', () => {
    const printing = (stdout: string, exitCode = 0) => new FakeWindowsEngine(() => ({ stdout, exitCode }));

    it('asks through the address, with a program that starts fast, and changes nothing', async () => {
      const engine = printing('HTTP/1.1 200 OK\r\nX-MSI-Proxy-Instance: instance-1\r\n\r\n{"ready":true}');
      await wiringOn(engine).verify(windowsClient, windowsTarget);
      const uri = 'http://169.254.169.254:80/.msi-proxy/ready';
      const argv = ['curl.exe', '--silent', '--include', '--noproxy', '*', '--max-time', '2', uri];
      assert.deepEqual(engine.execs, [{ argv, user: 'ContainerAdministrator' }]);
    });

    it('says who answers instead, or that nobody does', async () => {
      const cases: [FakeWindowsEngine, RegExp][] = [
        [printing('HTTP/1.1 200 OK\r\nX-MSI-Proxy-Instance: instance-0\r\n'), /by another proxy/],
        [printing('HTTP/1.1 404 Not Found\r\n'), /not by a proxy \(status 404\)/],
        [printing('', 7), /got no answer/],
        [printing('', 127), /got no answer/],
      ];
      for (const [engine, message] of cases) {
        await assert.rejects(wiringOn(engine).verify(windowsClient, windowsTarget), {
          code: 'MSI_WIRING_NOT_EFFECTIVE',
          message,
        });
      }
    });
  });

  describe('retarget', () => {
    it('changes the rule and asks through it, in one command without PowerShell', async () => {
      const engine = new FakeWindowsEngine(() => ({
        stdout: '\r\nHTTP/1.1 200 OK\r\nX-MSI-Proxy-Instance: instance-1\r\n',
      }));
      await wiringOn(engine).retarget?.(windowsClient, windowsTarget);
      assert.deepEqual(engine.lines, [
        'netsh interface portproxy set v4tov4 listenport=80 listenaddress=169.254.169.254 connectport=80 connectaddress=172.21.192.9 protocol=tcp' +
          '&curl.exe --silent --include --noproxy * --max-time 2 http://169.254.169.254:80/.msi-proxy/ready',
      ]);
    });

    it('says that it did not do', async () => {
      for (const stdout of ['', 'HTTP/1.1 200 OK\r\nX-MSI-Proxy-Instance: instance-0\r\n']) {
        const wiring = wiringOn(new FakeWindowsEngine(() => ({ stdout })));
        await assert.rejects(async () => await wiring.retarget?.(windowsClient, windowsTarget), {
          code: 'MSI_WIRING_NOT_EFFECTIVE',
        });
      }
    });
  });

  describe('remove', () => {
    const REMOVED = { addresses: [], rules: [], listeners: [], answer: [] };

    it('takes the rule away before the address', async () => {
      const engine = engineReporting({ ...REMOVED, changes: ['rule', 'address'] });
      await wiringOn(engine).remove(windowsClient);
      const [script = ''] = engine.scripts;
      assert.ok(script.indexOf('portproxy delete') < script.indexOf('Remove-NetIPAddress'));
      assert.doesNotMatch(script, /portproxy reset/);
    });

    it('leaves the rules of others alone', async () => {
      await wiringOn(engineReporting({ ...REMOVED, rules: ['0.0.0.0 8080 10.0.0.1 80'] })).remove(
        windowsClient,
      );
    });

    it('says what is left, and why', async () => {
      const engine = engineReporting({ failedStep: 'address', failure: 'Zugriff verweigert' });
      await assert.rejects(wiringOn(engine).remove(windowsClient), {
        code: 'MSI_WIRING_NOT_EFFECTIVE',
        message: /rule .* and the address .* could not be removed \(address: Zugriff verweigert\)/,
      });
    });

    it('does not take for gone what it could not read', async () => {
      const engine = engineReporting({ ...REMOVED, failedStep: 'observe-address', failure: 'Out of memory' });
      await assert.rejects(wiringOn(engine).remove(windowsClient), {
        code: 'MSI_WIRING_NOT_EFFECTIVE',
        message: /could not be read \(observe-address: Out of memory\)/,
      });
    });

    it('succeeds for a container that is gone', async () => {
      const engine = new FakeWindowsEngine(() => engineRefusal(404));
      engine.state = 'gone';
      await wiringOn(engine).remove(windowsClient);
    });
  });

  describe('when the engine refuses the command', () => {
    const refused = (state: FakeWindowsEngine['state']) => {
      const engine = new FakeWindowsEngine(() => engineRefusal(409));
      engine.state = state;
      return wiringOn(engine).apply(windowsClient, windowsTarget);
    };

    it('says that the container was paused meanwhile', async () => {
      await assert.rejects(refused('paused'), { code: 'MSI_WIRING_NOT_APPLICABLE', message: /paused/ });
    });

    it('says that the container stopped meanwhile', async () => {
      await assert.rejects(refused('exited'), { code: 'MSI_NAMESPACE_GONE' });
      await assert.rejects(refused('gone'), { code: 'MSI_NAMESPACE_GONE' });
    });

    it('passes on what else it says', async () => {
      await assert.rejects(refused('running'), { code: 'MSI_ENGINE_REQUEST' });
    });
  });

  it('does not ask the engine any more when it is told to stop', async () => {
    const stopping = new AbortController();
    const engine = new FakeWindowsEngine(() => {
      stopping.abort(new Error('stopping'));
      return engineRefusal(500);
    });
    const wiring = createPortproxyWiring({ engine, clock: new FakeClock(), stopping: stopping.signal });
    await assert.rejects(wiring.apply(windowsClient, windowsTarget), /stopping/);
  });

  it('says that a container has neither PowerShell nor a command interpreter', async () => {
    const engine = new FakeWindowsEngine(() => ({
      exitCode: 126,
      stdout: 'hcs::System::CreateProcess: (0x2)',
    }));
    await assert.rejects(wiringOn(engine).apply(windowsClient, windowsTarget), {
      code: 'MSI_WIRING_NOT_APPLICABLE',
      message: /neither powershell nor cmd/,
    });
  });
});
