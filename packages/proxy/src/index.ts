export { PROXY_SETTINGS, type ProxySettings } from './config.ts';
export { serve, type RunningProxy, type ServeOptions } from './server/serve.ts';
