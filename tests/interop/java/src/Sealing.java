import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Date;
import java.util.Hashtable;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import org.bouncycastle.asn1.ASN1Encoding;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.DERSet;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.cms.AttributeTable;
import org.bouncycastle.asn1.cms.CMSAttributes;
import org.bouncycastle.asn1.cms.CMSObjectIdentifiers;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.cms.Time;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.SubjectKeyIdentifier;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSAuthEnvelopedData;
import org.bouncycastle.cms.CMSAuthEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSAuthEnvelopedDataStreamGenerator;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSEnvelopedDataStreamGenerator;
import org.bouncycastle.cms.CMSEnvelopedGenerator;
import org.bouncycastle.cms.CMSException;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.RecipientInfoGenerator;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.RecipientInformationStore;
import org.bouncycastle.cms.SimpleAttributeTableGenerator;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceKeyTransAuthEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientId;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JcePasswordRecipientInfoGenerator;
import org.bouncycastle.operator.OutputAEADEncryptor;
import org.bouncycastle.operator.OutputEncryptor;
import org.bouncycastle.operator.jcajce.JcaAlgorithmParametersConverter;

/** CMS EnvelopedData and AuthEnvelopedData by Bouncy Castle, in its three ways of writing. */
final class Sealing {
    private Sealing() {}

    /** Seals content for one or more certificates; "form" is der, ber (its plain generator) or stream (in chunks). */
    static Engine.Fields seal(Engine.Fields question) throws Exception {
        boolean authenticated = question.has("authenticated");
        String form = question.text("form");
        byte[] content = question.bytes("content");
        OutputEncryptor encryptor = new JceCMSContentEncryptorBuilder(new ASN1ObjectIdentifier(question.text("cipher")))
                .setProvider("BC")
                .build();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        if (form.equals("stream")) {
            if (authenticated) {
                CMSAuthEnvelopedDataStreamGenerator generator = new CMSAuthEnvelopedDataStreamGenerator();
                recipients(generator, question);
                attributes(generator, question);
                try (OutputStream stream = generator.open(out, (OutputAEADEncryptor) encryptor)) {
                    stream.write(content);
                }
            } else {
                CMSEnvelopedDataStreamGenerator generator = new CMSEnvelopedDataStreamGenerator();
                generator.setBufferSize(1000);
                recipients(generator, question);
                try (OutputStream stream = generator.open(out, encryptor)) {
                    stream.write(content);
                }
            }
            return new Engine.Fields().add("cms", out.toByteArray());
        }
        ContentInfo message;
        if (authenticated) {
            CMSAuthEnvelopedDataGenerator generator = new CMSAuthEnvelopedDataGenerator();
            recipients(generator, question);
            attributes(generator, question);
            message = generator
                    .generate(new CMSProcessableByteArray(content), (OutputAEADEncryptor) encryptor)
                    .toASN1Structure();
        } else {
            CMSEnvelopedDataGenerator generator = new CMSEnvelopedDataGenerator();
            recipients(generator, question);
            message = generator.generate(new CMSProcessableByteArray(content), encryptor).toASN1Structure();
        }
        String encoding = form.equals("der") ? ASN1Encoding.DER : ASN1Encoding.BER;
        return new Engine.Fields().add("cms", message.getEncoded(encoding));
    }

    private static void attributes(org.bouncycastle.cms.CMSAuthEnvelopedGenerator generator, Engine.Fields question) {
        if (question.has("attributes")) {
            DERSet time = new DERSet(new Time(new Date(1_800_000_000_000L)));
            Hashtable<ASN1ObjectIdentifier, Attribute> table = new Hashtable<>();
            table.put(CMSAttributes.signingTime, new Attribute(CMSAttributes.signingTime, time));
            DERSet type = new DERSet(PKCSObjectIdentifiers.data);
            table.put(CMSAttributes.contentType, new Attribute(CMSAttributes.contentType, type));
            generator.setAuthenticatedAttributeGenerator(new SimpleAttributeTableGenerator(new AttributeTable(table)));
        }
    }

    private static void recipients(CMSEnvelopedGenerator generator, Engine.Fields question) throws Exception {
        for (byte[] der : question.all("certificate")) {
            generator.addRecipientInfoGenerator(recipient(Signatures.certificate(der), question));
        }
    }

    private static RecipientInfoGenerator recipient(X509Certificate certificate, Engine.Fields question)
            throws Exception {
        if (question.text("recipient").equals("password")) {
            return new JcePasswordRecipientInfoGenerator(CMSAlgorithm.AES256_CBC, "not a key".toCharArray())
                    .setProvider("BC");
        }
        AlgorithmIdentifier transport = transport(question.text("transport"));
        JceKeyTransRecipientInfoGenerator generator;
        if (question.text("recipient").equals("subject-key-identifier")) {
            byte[] identifier = SubjectKeyIdentifier.getInstance(org.bouncycastle.asn1.ASN1OctetString.getInstance(
                            certificate.getExtensionValue("2.5.29.14")).getOctets())
                    .getKeyIdentifier();
            generator = transport == null
                    ? new JceKeyTransRecipientInfoGenerator(identifier, certificate.getPublicKey())
                    : new JceKeyTransRecipientInfoGenerator(identifier, transport, certificate.getPublicKey());
        } else {
            generator = transport == null
                    ? new JceKeyTransRecipientInfoGenerator(certificate)
                    : new JceKeyTransRecipientInfoGenerator(certificate, transport);
        }
        return generator.setProvider("BC");
    }

    /** Returns the identifier of an OAEP, given as "digest of OAEP / digest of its mask"; null for PKCS#1 v1.5. */
    private static AlgorithmIdentifier transport(String name) throws Exception {
        if (name.equals("v1.5")) {
            return null;
        }
        String[] digests = name.split("/");
        MGF1ParameterSpec mask = new MGF1ParameterSpec(digests[1]);
        return new JcaAlgorithmParametersConverter()
                .getAlgorithmIdentifier(
                        PKCSObjectIdentifiers.id_RSAES_OAEP,
                        new OAEPParameterSpec(digests[0], "MGF1", mask, PSource.PSpecified.DEFAULT));
    }

    /** Opens with a private key what was sealed for its certificate, found by issuer and serial number. */
    static Engine.Fields open(Engine.Fields question) throws Exception {
        X509Certificate certificate = Signatures.certificate(question.bytes("certificate"));
        PrivateKey key = KeyFactory.getInstance("RSA")
                .generatePrivate(new PKCS8EncodedKeySpec(question.bytes("private-key")));
        try {
            ContentInfo info = ContentInfo.getInstance(question.bytes("cms"));
            boolean authenticated = info.getContentType().equals(CMSObjectIdentifiers.authEnvelopedData);
            RecipientInformationStore store = authenticated
                    ? new CMSAuthEnvelopedData(info).getRecipientInfos()
                    : new CMSEnvelopedData(info).getRecipientInfos();
            RecipientInformation recipient = store.get(new JceKeyTransRecipientId(certificate));
            if (recipient == null) {
                throw new Engine.Refused("not sealed for this certificate");
            }
            byte[] content = recipient.getContent(
                    authenticated
                            ? new JceKeyTransAuthEnvelopedRecipient(key).setProvider("BC")
                            : new JceKeyTransEnvelopedRecipient(key).setProvider("BC"));
            String cipher = authenticated
                    ? new CMSAuthEnvelopedData(info).getEncryptionAlgOID()
                    : new CMSEnvelopedData(info).getEncryptionAlgOID();
            return new Engine.Fields()
                    .add("content", content)
                    .add("cipher", cipher)
                    .add("transport", recipient.getKeyEncryptionAlgOID());
        } catch (CMSException | IllegalArgumentException refused) {
            throw new Engine.Refused(refused);
        }
    }
}
