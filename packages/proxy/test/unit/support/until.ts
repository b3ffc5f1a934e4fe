export { until } from '@msi-proxy/shared/testing';
