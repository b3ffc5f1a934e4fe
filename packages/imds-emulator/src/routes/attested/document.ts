import type { Clock } from '@msi-proxy/shared';
import { instanceError, json, type Reply } from '../../http/reply.ts';
import type { VirtualMachine } from '../../vm/virtual-machine.ts';
import type { MetadataRequest } from '../endpoint.ts';
import { explicit, objectIdentifier, octetString, sequence, set, smallInteger } from './der.ts';

// The swagger allows 32 letters and digits, the documentation says ten digits.
const NONCE = /^[A-Za-z0-9]{1,32}$/;

const LIFETIME_MILLIS = 6 * 60 * 60 * 1000;

// 1.2.840.113549.1.7.2 (signedData) and 1.2.840.113549.1.7.1 (data), RFC 5652
const SIGNED_DATA = '2a864886f70d010702';
const DATA = '2a864886f70d010701';

/**
 * `/metadata/attested/document`. The signature is a PKCS#7 SignedData that carries the document but has no signer and
 * no certificate: it can be decoded, and no verification of it succeeds.
 */
export function answerAttestedDocument(
  { vm, clock }: { readonly vm: VirtualMachine; readonly clock: Clock },
  { query, apiVersion }: MetadataRequest,
): Reply {
  const now = clock.wallMillis();
  const nonce = query.get('nonce');
  if (nonce !== undefined && !NONCE.test(nonce)) return instanceError(400, 'Bad request. Invalid nonce');
  const document = {
    ...(apiVersion >= '2020-09-01' && { licenseType: '' }),
    nonce: nonce ?? timestampNonce(now),
    plan: { name: '', product: '', publisher: '' },
    ...(apiVersion >= '2019-11-01' && { sku: '' }),
    ...(apiVersion >= '2019-04-30' && { subscriptionId: vm.subscriptionId }),
    timeStamp: { createdOn: formatTime(now), expiresOn: formatTime(now + LIFETIME_MILLIS) },
    vmId: vm.vmId,
  };
  const signature = unsignedSignedData(JSON.stringify(document)).toString('base64');
  return json({ encoding: 'pkcs7', signature });
}

function unsignedSignedData(content: string): Buffer {
  const contentInfo = sequence(objectIdentifier(DATA), explicit(0, octetString(Buffer.from(content))));
  const noDigestAlgorithms = set();
  const noSigners = set();
  const signedData = sequence(smallInteger(1), noDigestAlgorithms, contentInfo, noSigners);
  return sequence(objectIdentifier(SIGNED_DATA), explicit(0, signedData));
}

/** `20181128-001617`, as in the documentation's example. */
function timestampNonce(millis: number): string {
  const digits = new Date(millis).toISOString().replace(/\D/g, '');
  return `${digits.slice(0, 8)}-${digits.slice(8, 14)}`;
}

/** `11/28/18 00:16:17 -0000` */
function formatTime(millis: number): string {
  const [, year, month, day, time] = /^\d\d(\d\d)-(\d\d)-(\d\d)T([\d:]{8})/.exec(
    new Date(millis).toISOString(),
  )!;
  return `${month!}/${day!}/${year!} ${time!} -0000`;
}
