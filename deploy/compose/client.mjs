// Asks for a token as any program would, every minute, and prints until when it is valid, never the token.
const query = new URLSearchParams({ 'api-version': '2018-02-01', resource: 'https://vault.azure.net' });
const url = `http://169.254.169.254/metadata/identity/oauth2/token?${query}`;

async function ask() {
  try {
    const answer = await fetch(url, { headers: { Metadata: 'true' } });
    const body = await answer.json();
    const valid = answer.ok && new Date(body.expires_on * 1_000).toISOString();
    console.log(answer.status, valid ? `token valid until ${valid}` : body.error_description);
  } catch (error) {
    console.error(error.message);
  }
}

process.once('SIGTERM', () => process.exit());
setInterval(ask, 60_000);
await ask();
