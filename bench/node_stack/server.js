// One mail in over SMTP, SPF/DKIM/DMARC/ARC verified, parsed, signed, POSTed; 250 once the POST was answered 2xx.
'use strict';

const cluster = require('node:cluster');
const crypto = require('node:crypto');
const dns = require('node:dns').promises;
const http = require('node:http');
const { authenticate } = require('mailauth');
const { simpleParser } = require('mailparser');
const { SMTPServer } = require('smtp-server');

const [port, dnsPort, sinkPort, workers] = process.argv.slice(2).map(Number);
const KEY = 'bench-secret';

function work() {
    const resolver = new dns.Resolver();
    resolver.setServers([`127.0.0.1:${dnsPort}`]);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

    function post(body, id) {
        const timestamp = Math.floor(Date.now() / 1000);
        const signature = crypto.createHmac('sha256', KEY).update(`${id}.${timestamp}.`).update(body).digest('base64');
        const headers = {
            'content-type': 'application/json',
            'content-length': body.length,
            'webhook-id': id,
            'webhook-timestamp': timestamp,
            'webhook-signature': `v1,${signature}`,
            'x-signature': crypto.createHmac('sha256', KEY).update(body).digest('hex')
        };
        return new Promise((resolve, reject) => {
            const request = http.request({ host: '127.0.0.1', port: sinkPort, path: '/ok', method: 'POST', agent, headers });
            request.on('error', reject);
            request.on('response', response => {
                response.resume();
                response.on('end', () => (response.statusCode < 300 ? resolve() : reject(new Error(response.statusCode))));
            });
            request.end(body);
        });
    }

    async function handle(content, session) {
        const auth = await authenticate(content, {
            ip: session.remoteAddress,
            helo: session.hostNameAppearsAs,
            sender: session.envelope.mailFrom.address,
            mta: 'mx.inbox.test',
            disableBimi: true,
            resolver: (name, type) => resolver.resolve(name, type)
        });
        const mail = await simpleParser(content);
        const id = crypto.randomUUID();
        const payload = {
            id,
            messageId: mail.messageId,
            envelope: session.envelope,
            subject: mail.subject,
            from: mail.from,
            to: mail.to,
            date: mail.date,
            text: mail.text,
            html: mail.html,
            headers: mail.headerLines,
            attachments: mail.attachments.map(part => ({
                filename: part.filename,
                contentType: part.contentType,
                size: part.size,
                checksum: part.checksum,
                content: part.content.toString('base64')
            })),
            auth: { spf: auth.spf.status, dkim: auth.dkim.results.map(result => result.status), dmarc: auth.dmarc.status }
        };
        if (payload.auth.dmarc.result !== 'pass') {
            throw new Error(`dmarc ${payload.auth.dmarc.result}`); // the work would not be the same
        }
        await post(Buffer.from(JSON.stringify(payload)), id);
    }

    new SMTPServer({
        disabledCommands: ['AUTH', 'STARTTLS'],
        disableReverseLookup: true,
        maxClients: 1000,
        size: 30 * 1024 * 1024,
        onData(stream, session, callback) {
            const chunks = [];
            stream.on('data', chunk => chunks.push(chunk));
            stream.on('end', () => handle(Buffer.concat(chunks), session).then(() => callback(), callback));
        }
    }).listen(port, '127.0.0.1');
}

if (cluster.isPrimary && workers > 1) {
    for (let index = 0; index < workers; index += 1) cluster.fork();
    cluster.on('exit', () => process.exit(1));
    process.on('SIGTERM', () => process.exit(0));
} else {
    work();
}
