import assert from 'node:assert/strict';
import { readRouteTable, routesTo } from '../../../src/route/windows-route-table.ts';
import { inConsoleCodePage } from '../support/fake-windows-routes.ts';

// Rows of a container on Windows Server 1709 (soccerGB/MSIExperiment, 589412e, PortForwardingNat/docs/TestRun.md).
const ENGLISH = `===========================================================================
Interface List
 23...........................Software Loopback Interface 2
 24...00 15 5d d6 66 3d ......Hyper-V Virtual Ethernet Adapter #3
===========================================================================

IPv4 Route Table
===========================================================================
Active Routes:
Network Destination        Netmask          Gateway       Interface  Metric
          0.0.0.0          0.0.0.0     172.21.192.1    172.21.198.75    756
        127.0.0.0        255.0.0.0         On-link         127.0.0.1    331
  169.254.169.254  255.255.255.255     172.21.192.1    172.21.198.75    756
===========================================================================
Persistent Routes:
  Network Address          Netmask  Gateway Address  Metric
          0.0.0.0          0.0.0.0     172.21.192.1  Default
  169.254.169.254  255.255.255.255     172.21.192.1  Default
===========================================================================
`;

// The words of other languages are from memory of such machines, not recorded on one.
const GERMAN = `IPv4-Routentabelle
===========================================================================
Aktive Routen:
     Netzwerkziel    Netzwerkmaske          Gateway    Schnittstelle Metrik
          0.0.0.0          0.0.0.0     172.21.192.1    172.21.198.75    756
        127.0.0.0        255.0.0.0   Auf Verbindung         127.0.0.1    331
  169.254.169.254  255.255.255.255     172.21.192.1    172.21.198.75    756
===========================================================================
Ständige Routen:
  Netzwerkadresse          Netzmaske  Gatewayadresse  Metrik
          0.0.0.0          0.0.0.0     172.21.192.1  Standard
  169.254.169.254  255.255.255.255     172.21.192.1         1
===========================================================================
`;

const JAPANESE = `IPv4 ルート テーブル
===========================================================================
アクティブ ルート:
ネットワーク宛先        ネットマスク          ゲートウェイ       インターフェイス  メトリック
          0.0.0.0          0.0.0.0     172.21.192.1    172.21.198.75    756
        127.0.0.0        255.0.0.0            リンク上         127.0.0.1    331
  169.254.169.254  255.255.255.255     172.21.192.1    172.21.198.75    756
===========================================================================
固定ルート:
  なし
`;

const ROUTES = [
  {
    destination: '0.0.0.0',
    netmask: '0.0.0.0',
    gateway: '172.21.192.1',
    interfaceAddress: '172.21.198.75',
    metric: 756,
  },
  {
    destination: '127.0.0.0',
    netmask: '255.0.0.0',
    gateway: undefined,
    interfaceAddress: '127.0.0.1',
    metric: 331,
  },
  {
    destination: '169.254.169.254',
    netmask: '255.255.255.255',
    gateway: '172.21.192.1',
    interfaceAddress: '172.21.198.75',
    metric: 756,
  },
];

describe('the routing table of Windows', () => {
  for (const [language, text] of Object.entries({ ENGLISH, GERMAN, JAPANESE })) {
    it(`is read without its headings and persistent routes (${language.toLowerCase()})`, () => {
      for (const printed of [text, inConsoleCodePage(text), text.replaceAll('\n', '\r\n')]) {
        assert.deepEqual(readRouteTable(printed), ROUTES);
      }
    });
  }

  it('has nothing in it when the text is something else', () => {
    for (const text of [
      '',
      'ROUTE: bad argument PRINT',
      '  999.0.0.0  0.0.0.0  172.21.192.1  172.21.198.75  1',
    ]) {
      assert.deepEqual(readRouteTable(text), [], text);
    }
  });

  it('is searched by destination and mask, the route of the lowest metric first', () => {
    const row = (gateway: string, metric: number) =>
      `  0.0.0.0  0.0.0.0  ${gateway}  172.21.198.75  ${metric}`;
    const table = readRouteTable([row('172.21.192.1', 5256), row('172.21.192.2', 756)].join('\n'));
    assert.deepEqual(
      routesTo(table, '0.0.0.0', '0.0.0.0').map(({ gateway }) => gateway),
      ['172.21.192.2', '172.21.192.1'],
    );
    assert.deepEqual(routesTo(table, '0.0.0.0', '255.255.255.255'), []);
  });
});
