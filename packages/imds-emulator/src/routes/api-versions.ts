import { identityError, instanceError, json, type Reply } from '../http/reply.ts';
import type { Endpoint } from './endpoint.ts';

/** "Supported API versions" of MicrosoftDocs/azure-compute-docs `instance-metadata-service.md` @1dc6d3b. */
export const API_VERSIONS = [
  '2017-03-01',
  '2017-04-02',
  '2017-08-01',
  '2017-10-01',
  '2017-12-01',
  '2018-02-01',
  '2018-04-02',
  '2018-10-01',
  '2019-02-01',
  '2019-03-11',
  '2019-04-30',
  '2019-06-01',
  '2019-06-04',
  '2019-08-01',
  '2019-08-15',
  '2019-11-01',
  '2020-06-01',
  '2020-07-15',
  '2020-09-01',
  '2020-10-01',
  '2020-12-01',
  '2021-01-01',
  '2021-02-01',
  '2021-03-01',
  '2021-05-01',
  '2021-08-01',
  '2021-10-01',
  '2021-11-01',
  '2021-11-15',
  '2021-12-13',
  '2023-07-01',
  '2023-11-15',
  '2024-03-15',
  '2024-07-17',
  '2025-04-07',
] as const;

/** Scheduled Events is versioned by itself (MicrosoftDocs/azure-compute-docs `linux/scheduled-events.md`). */
export const SCHEDULED_EVENTS_VERSIONS = [
  '2017-03-01',
  '2017-08-01',
  '2017-11-01',
  '2019-01-01',
  '2019-04-01',
  '2019-08-01',
  '2020-07-01',
] as const;

const NEWEST_SHOWN = 3;

/** The refusal of a version that is missing, not known or older than the endpoint; `undefined` when it will do. */
export function refuseApiVersion(
  { versions, errorShape }: Endpoint,
  apiVersion: string | undefined,
): Reply | undefined {
  if (versions === undefined) return undefined;
  if (apiVersion === undefined || !versions.supported.includes(apiVersion)) {
    // The text for the identity category is not known; this one is made after that for a missing `resource`.
    return errorShape === 'identity'
      ? identityError(
          400,
          'invalid_request',
          "Required query variable 'api-version' is missing or not supported",
        )
      : json(
          {
            error:
              'Bad request. api-version is invalid or was not specified in the request. For more information refer to aka.ms/azureimds',
            'newest-versions': versions.supported.slice(-NEWEST_SHOWN).reverse(),
          },
          400,
        );
  }
  if (apiVersion >= versions.since) return undefined;
  // Seen in hashicorp/terraform-azurerm-consul#38.
  return errorShape === 'identity'
    ? identityError(404, 'not_found', 'Not found. Invalid version requested')
    : instanceError(404, 'Not found. Invalid version requested');
}
