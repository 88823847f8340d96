<?php
// Receive mail with PHP: WEBHOOK_SECRET=whsec_… php -d post_max_size=12M -S 127.0.0.1:3000 receiver.php

$body = file_get_contents('php://input');
if (!is_ours($body)) {
    http_response_code(401);
    exit("the signature is not ours\n");
}
$payload = json_decode($body, true);
if (isset($payload['challenge'])) { // only where the endpoint is set to `verify: true`
    header('Content-Type: text/plain');
    exit($payload['challenge']);
}
$seen = sys_get_temp_dir() . '/seen-' . hash('sha256', $payload['id']); // a unique column of your database
if (@fopen($seen, 'x') !== false) { // the same mail may come twice
    $sender = $payload['auth']['sender'];
    $who = $sender['authenticated'] ? $sender['address'] : 'somebody';
    file_put_contents('php://stdout', "$who wrote: {$payload['message']['subject']}\n");
}
http_response_code(204);

function is_ours(string $body): bool
{
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
    $timestamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    if (abs(time() - (int) $timestamp) > 300) {
        return false;
    }
    $key = base64_decode(preg_replace('/^whsec_/', '', getenv('WEBHOOK_SECRET')));
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    foreach (explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $given) {
        if (hash_equals($expected, $given)) {
            return true;
        }
    }
    return false;
}
