export {
  ask,
  CLIENT_ADDRESS,
  open,
  readAll,
  requestText,
  sendRaw,
  type RawAnswer,
} from '@msi-proxy/shared/testing';
