/** Languages of Windows whose headings and messages are modelled; the first is the default. */
export const LANGUAGES = ['en', 'de', 'ja'] as const;
export type Language = (typeof LANGUAGES)[number];

type Translation = readonly [english: string, german: string, japanese: string];

/**
 * What Windows prints in the language of its image. The German and Japanese texts are from memory of such systems: that
 * they differ from English, and where, is what matters.
 */
const TEXTS = {
  accessDenied: ['Access is denied.', 'Zugriff verweigert', 'アクセスが拒否されました。'],
  needsElevation: [
    'The requested operation requires elevation (Run as administrator).',
    'Der angeforderte Vorgang erfordert erhöhte Rechte (Als Administrator ausführen).',
    '要求された操作には管理者特権が必要です (管理者として実行してください)。',
  ],
  fileNotFound: [
    'The system cannot find the file specified.',
    'Das System kann die angegebene Datei nicht finden.',
    '指定されたファイルが見つかりません。',
  ],
  elementNotFound: ['Element not found.', 'Element nicht gefunden.', '要素が見つかりません。'],
  objectExists: [
    'The object already exists.',
    'Das Objekt ist bereits vorhanden.',
    'オブジェクトは既に存在します。',
  ],
  badParameter: ['The parameter is incorrect.', 'Falscher Parameter.', 'パラメーターが間違っています。'],
  badSyntax: [
    'The syntax supplied for this command is not valid. Check help for the correct syntax.',
    'Die angegebene Syntax ist für diesen Befehl nicht gültig. Überprüfen Sie die korrekte Syntax in der Hilfe.',
    '指定された構文はこのコマンドには無効です。ヘルプで正しい構文を確認してください。',
  ],
  badCommand: [
    'The following command was not found: {0}.',
    'Der folgende Befehl wurde nicht gefunden: {0}.',
    '次のコマンドは見つかりませんでした: {0}。',
  ],
  badArgument: [
    '{0} is not a valid argument for this command.',
    '{0} ist kein zulässiges Argument für diesen Befehl.',
    '{0} は、このコマンドの有効な引数ではありません。',
  ],
  ok: ['Ok.', 'OK.', 'OK'],
  unknownProgram: [
    "'{0}' is not recognized as an internal or external command,\noperable program or batch file.",
    'Der Befehl "{0}" ist entweder falsch geschrieben oder\nkonnte nicht gefunden werden.',
    "'{0}' は、内部コマンドまたは外部コマンド、\n操作可能なプログラムまたはバッチ ファイルとして認識されていません。",
  ],
  listenOn: ['Listen on ipv4:', 'Abhören auf ipv4:', 'ipv4 をリッスンする:'],
  connectTo: ['Connect to ipv4:', 'Verbinden mit ipv4:', 'ipv4 に接続する:'],
  address: ['Address', 'Adresse', 'アドレス'],
  port: ['Port', 'Anschluss', 'ポート'],
  interface: ['Interface', 'Schnittstelle', 'インターフェイス'],
  addressHeading: [
    'Addr Type  DAD State   Valid Life Pref. Life Address',
    'Adresstyp  DAD-Status  Gült.-D.   Bev.-D.    Adresse',
    '種類       DAD 状態    有効期間   優先期間   アドレス',
  ],
  manual: ['Manual', 'Manuell', '手動'],
  other: ['Other', 'Andere', 'その他'],
  infinite: ['infinite', 'unendlich', 'infinite'],
  Invalid: ['Invalid', 'Ungültig', '無効'],
  Tentative: ['Tentative', 'Vorläufig', '仮'],
  Duplicate: ['Duplicate', 'Doppelt', '重複'],
  Deprecated: ['Deprecated', 'Veraltet', '非推奨'],
  Preferred: ['Preferred', 'Bevorzugt', '優先'],
  helpService: ['IP Helper', 'IP-Hilfsdienst', 'IP Helper'],
  noService: [
    'The specified service does not exist as an installed service.',
    'Der angegebene Dienst ist kein installierter Dienst.',
    '指定されたサービスはインストールされたサービスとして存在しません。',
  ],
  invalidServiceName: [
    'The service name is invalid.',
    'Der Dienstname ist ungültig.',
    'サービス名が無効です。',
  ],
  serviceDisabled: [
    'The service cannot be started, either because it is disabled or because it has no enabled devices associated with it.',
    'Der Dienst kann nicht gestartet werden, da er deaktiviert ist oder keine aktivierten Geräte mit ihm verknüpft sind.',
    'サービスを開始できません。無効になっているか、有効なデバイスが関連付けられていないためです。',
  ],
  systemError: [
    'System error {0} has occurred.',
    'Systemfehler {0} aufgetreten.',
    'システム エラー {0} が発生しました。',
  ],
  starting: ['The {0} service is starting.', '{0} wird gestartet.', '{0} サービスを開始します.'],
  started: [
    'The {0} service was started successfully.',
    '{0} wurde erfolgreich gestartet.',
    '{0} サービスは正常に開始されました。',
  ],
  alreadyStarted: [
    'The requested service has already been started.',
    'Der angeforderte Dienst wurde bereits gestartet.',
    '要求したサービスは既に開始されています。',
  ],
  stopping: ['The {0} service is stopping.', '{0} wird beendet.', '{0} サービスを停止中です.'],
  stopped: [
    'The {0} service was stopped successfully.',
    '{0} wurde erfolgreich beendet.',
    '{0} サービスは正常に停止されました。',
  ],
  notStarted: [
    'The {0} service is not started.',
    '{0} ist nicht gestartet.',
    '{0} サービスは開始されていません。',
  ],
  moreHelp: [
    'More help is available by typing NET HELPMSG {0}.',
    'Sie erhalten weitere Hilfe, wenn Sie NET HELPMSG {0} eingeben.',
    'NET HELPMSG {0} と入力すると、より詳しい説明が得られます。',
  ],
  activeConnections: ['Active Connections', 'Aktive Verbindungen', 'アクティブな接続'],
  connectionHeading: [
    '  Proto  Local Address          Foreign Address        State           PID',
    '  Proto  Lokale Adresse         Remoteadresse          Status           PID',
    '  プロトコル  ローカル アドレス      外部アドレス           状態            PID',
  ],
  listening: ['LISTENING', 'ABHÖREN', 'LISTENING'],
  established: ['ESTABLISHED', 'HERGESTELLT', 'ESTABLISHED'],
  interfaceList: ['Interface List', 'Schnittstellenliste', 'インターフェイス一覧'],
  routeTable: ['IPv4 Route Table', 'IPv4-Routentabelle', 'IPv4 ルート テーブル'],
  activeRoutes: ['Active Routes:', 'Aktive Routen:', 'アクティブ ルート:'],
  routeHeading: [
    'Network Destination        Netmask          Gateway       Interface  Metric',
    '     Netzwerkziel    Netzwerkmaske          Gateway    Schnittstelle Metrik',
    'ネットワーク宛先        ネットマスク          ゲートウェイ       インターフェイス  メトリック',
  ],
  persistentRoutes: ['Persistent Routes:', 'Ständige Routen:', '固定ルート:'],
  persistentHeading: [
    '  Network Address          Netmask  Gateway Address  Metric',
    '     Netzwerkadresse          Netzmaske  Gatewayadresse  Metrik',
    '  ネットワーク アドレス          ネットマスク  ゲートウェイ アドレス  メトリック',
  ],
  onLink: ['On-link', 'Auf Verbindung', 'リンク上'],
  none: ['None', 'Keine', 'なし'],
  routeNotFound: [
    'The route deletion failed: Element not found.',
    'Fehler bei der Routenlöschung: Element nicht gefunden.',
    'ルートの削除に失敗しました: 要素が見つかりません。',
  ],
  routeExists: [
    'The route addition failed: The object already exists.',
    'Fehler beim Hinzufügen der Route: Das Objekt ist bereits vorhanden.',
    'ルートの追加に失敗しました: オブジェクトは既に存在します。',
  ],
  ipConfiguration: ['Windows IP Configuration', 'Windows-IP-Konfiguration', 'Windows IP 構成'],
  ipv4Address: ['IPv4 Address', 'IPv4-Adresse', 'IPv4 アドレス'],
  subnetMask: ['Subnet Mask', 'Subnetzmaske', 'サブネット マスク'],
  defaultGateway: ['Default Gateway', 'Standardgateway', 'デフォルト ゲートウェイ'],
} as const satisfies Record<string, Translation>;

export type TextName = keyof typeof TEXTS;

/** Says things in one language; `{0}` stands for the value. */
export type Speaker = (name: TextName, value?: string | number) => string;

export function speaker(language: Language): Speaker {
  const index = LANGUAGES.indexOf(language);
  return (name, value = '') => TEXTS[name][index]!.replace('{0}', String(value));
}
