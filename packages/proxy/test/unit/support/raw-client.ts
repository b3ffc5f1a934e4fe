export {
  ask,
  CLIENT_ADDRESS,
  open,
  readAll,
  requestText,
  sendAndLeave,
  sendRaw,
  type RawAnswer,
} from '@msi-proxy/shared/testing';
