import { render } from 'preact';
import { App } from './app.tsx';
import { LiveStatus } from './live/live-status.ts';

const root = document.getElementById('page');
if (root === null) throw new Error('the page has no place for its content');
const live = new LiveStatus(new URL('api/events', document.baseURI));
live.start();
render(<App live={live} />, root);
