import { probe } from '../../../../src/wiring/probe.ts';

console.log(JSON.stringify(await probe()));
