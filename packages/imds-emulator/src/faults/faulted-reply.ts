import { errorReply } from '../http/error-reply.ts';
import { SERVICE_UNAVAILABLE } from '../http/front-door.ts';
import type { Reply } from '../http/reply.ts';
import type { ErrorShape } from '../routes/endpoint.ts';
import type { FaultRule } from './fault-rule.ts';

/** What is answered under a rule: another answer for the faults that replace it, otherwise the same. */
export function faultedReply(reply: Reply, rule: FaultRule | undefined, shape: ErrorShape): Reply {
  switch (rule?.fault) {
    case 'status': {
      const plain = errorReply(rule.status, shape);
      const headers = { ...plain.headers, ...rule.headers };
      return { status: rule.status, headers, body: rule.body ?? plain.body };
    }
    case 'front-door-page':
      return SERVICE_UNAVAILABLE;
    case undefined:
    case 'delay':
    case 'hang':
    case 'reset':
    case 'truncate':
    case 'drip':
      return reply;
  }
}
