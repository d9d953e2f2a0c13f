"""The most frequent small words of the languages that are told apart by them, in lower case. Data."""

from __future__ import annotations

WORDS: dict[str, str] = {
    "en": "the of and to in is that for it with as was on are be this have from or by not but what all were we when "
    "your can there an which their if will each how them then these would other has more you our they his her "
    "she him been who my its could about into only also please any may should than no do out up so me",
    "de": "der die das und ist nicht ein eine einen einem einer eines mit für auf den dem des von zu zum zur im "
    "sich auch als sie wir ihr ihre ihren ihnen ich bei nach über haben hat werden wird kann können wenn oder "
    "aber noch nur wie durch aus sind war mehr sehr bitte uns unsere diese dieser dieses es vor bis dass an "
    "um unter hier",
    "fr": "le la les des une est et que qui dans pour pas sur plus par avec ce cette ces vous nous votre vos notre "
    "nos je il elle ils sont être avoir ont mais ou où si leur leurs au aux du en un ne se sa son ses tout "
    "tous fait faire comme même bien peut aussi merci entre sans chez très",
    "es": "el la los las de que en un una por con para no es se del al lo como más pero sus su le ya este esta "
    "estos sí porque cuando muy sin sobre también me hasta hay donde quien desde todo nos durante todos uno "
    "les ni contra otros ese eso ante ellos usted ustedes nuestro nuestra está están ser son fue tiene puede",
    "pt": "de que não uma para com em os as um por mais como mas foi ao ele das tem seu sua ou ser quando muito há "
    "nos já está eu também só pelo pela até isso ela entre era depois sem mesmo aos seus quem nas me esse "
    "eles você vocês essa num nem suas meu minha são às dos na no da do se é",
    "it": "di che la il un una per non con del della dei delle sono si da le lo come più ma anche gli nel nella "
    "alla al questo questa ha ho hanno essere se suo sua ci cui vi ne noi voi loro io tutto tutti molto dal "
    "dalla sul sulla perché quando dove già stato stata è ai agli",
    "nl": "de het een en van ik te dat die in is je niet zijn op aan met als voor er maar om hem dan zou of wat "
    "mijn men dit zo door over ze zich bij ook tot naar kan mij uit der daar haar heb hoe heeft hebben deze u "
    "uw want nog zal wij ons onze worden wordt werd kunnen geen meer",
    "sv": "och det att i en jag hon som han på den med var sig för så till är men ett om hade de av icke mig du "
    "henne då sin nu har inte hans honom skulle hennes där min man ej vid kunde något från ut när efter upp "
    "vi dem vara vad över än kan här ni era detta eller alla dina",
    "da": "og det at en den til er som på de med han af for ikke der var mig sig men et har om vi min havde ham hun "
    "nu over da fra du ud sin dem os op man hans hvor eller hvad skal selv her alle vil blev kunne ind når "
    "være noget ville jeres deres efter også denne dette jeg",
    "no": "og det at en den til er som på de med han av for ikke der var meg seg men et har om vi min hadde ham hun "
    "nå over da fra du ut sin dem oss opp man hans hvor eller hva skal selv her alle vil ble kunne inn når "
    "være noe ville deres etter også denne dette jeg noen mot",
    "fi": "ja on ei se että en hän oli mutta ovat joka kun niin myös kuin tai jos vain sen mitä ole tämä olla voi "
    "sitä minä sinä me te he ne joita jotka sekä olen olet olemme olette kanssa mukaan ennen jälkeen vielä "
    "nyt kaikki hyvin sinun minun meidän teidän voit heidän heille heitä meille teille kohtaan",
    "pl": "i w na się nie do to jest że z o co jak po ale za od tak przez jego jej dla czy był była być ma są tym "
    "tego który która które ich już tylko może przy jeszcze lub oraz mnie mi ci pan pani proszę nas was "
    "bardzo ten ta te gdy aby ze tej można także oni pod swoje wszyscy wobec powinni innych",
    "cs": "a v se na je že to s z do o i k ve pro za by ale jako po jsem si jeho tak jen co od u při jsou které "
    "která který nebo ještě být byl byla bylo už podle mezi než bude aby této tento však také až má jste vás "
    "vám naše před prosím kde kdy proto můžete",
    "sk": "a v sa na je že to s z do o i k vo pre za by ale ako po som si jeho tak len čo od u pri sú ktoré ktorá "
    "ktorý alebo ešte byť bol bola bolo už podľa medzi než bude aby táto tento však tiež až má ste vás vám "
    "naše pred prosím kde kedy preto môžete všetci všetko majú sebe týka mať",
    "hu": "a az és hogy nem is egy ez meg de csak volt van már el még mint ha vagy azt ki fel minden most lehet "
    "nagyon kell ön önnek ezt után között itt ott aki ami amely nincs én te mi ti ők olyan így mert akkor "
    "arra által kérjük szerint lesz voltak köszönjük",
    "ro": "și în de la cu pe nu este din că pentru care sunt mai un se sau fi au dar ca după prin fost acest "
    "această aceste dumneavoastră vă ne noi voi lor lui ei el ea am ai are dacă când cum unde foarte toate "
    "toți către despre fără între până să să-l aceasta al ale",
    "tr": "ve bir bu için ile da de ne çok daha gibi olarak var ama mı kadar olan sonra ya her ki en şey bana sen "
    "ben o biz siz onlar değil olduğu tarafından veya ise hem göre bunu size sizin lütfen olur oldu üzere "
    "diye içinde kendi nasıl neden şu yok bütün karşı bakımından birbirlerine tüm",
    "id": "yang dan di ini itu dengan untuk tidak dari dalam akan pada juga saya ke karena ada kami mereka kita "
    "anda adalah bisa sudah oleh atau telah lebih seperti dapat bahwa kepada hanya ia dia kalau jika harus "
    "belum masih silakan tersebut banyak semua lagi sebagai",
    "vi": "và của là có không được cho một trong với các những này đã để người khi tôi bạn chúng đến từ cũng như "
    "nhưng vì hay hoặc phải rất nếu sẽ đang theo về ra vào năm nhiều đó nào thì mà lại còn hơn quý",
    "ca": "de la que el els les en per amb una un és no del dels al als com més però si aquest aquesta aquests són "
    "han hem tot tots molt també fins des ens us vostre nostre seva seu sense entre quan on perquè fer estar "
    "hi ho li sobre cada ja ser pot",
    "hr": "i je u na se da su za od s što ne kao će to bi koji koja koje ili ali iz do po samo nije već sve biti "
    "vam vas nas bio bila bilo smo ste sam ako kako kada gdje ovo ova ovaj jer prema između molimo možete vaš "
    "vaša nakon prije više može ona oni svi sva treba trebaju jedna svoje",
    "sl": "in je na v da se za so ki pa z s od ne po tudi bi kot do pri ali iz če več še bil bila bilo samo lahko "
    "smo ste sem ni kaj kako kje kdaj vas vam nas vaš vaša prosimo ker med pred ta to te tem že zelo vse bo",
    "et": "ja on ei et see kui ka oma ta oli ning mis või aga kes nii siis seda selle veel juba mida mitte väga "
    "meie teie teid kõik pärast enne nende tema minu sinu ole saab olla palun kus kas kuid ainult nagu "
    "selleks",
    "lv": "un ir ar par no uz tas ka kas lai bet vai kā arī nav pēc jau tikai šo šis šī mēs jūs viņš viņa viņi jūsu "
    "mūsu bija būt var ja pie līdz vēl ļoti tiek kad kur visi lūdzu pirms starp",
    "lt": "ir yra kad ne tai su iš bet ar kaip už į jis ji jie mes jūs jūsų mūsų buvo būti gali apie tik nuo per "
    "prie po dar jau kai kur kas šis ši šio labai visi arba prieš tarp prašome taip pat",
    "ru": "и в не на что он с как это по но они мы она за от все так его для вы бы у к из о уже или был быть если "
    "до только когда её их вас вам мне мой наш ваш при чтобы есть можно нет даже ещё еще который которые "
    "также после очень этот эта эти без где под здесь",
    "uk": "і в не на що він з як це по але вони ми вона за від всі так його для ви б у до із про вже або був бути "
    "якщо тільки коли її їх вас вам мені мій наш ваш при щоб є можна немає навіть ще який які також після "
    "дуже цей ця ці без де під тут та й",
    "bg": "и в не на че той с как това по но те ние тя за от всички така му го ще вие би до из вече или беше бъде "
    "ако само когато им ви ни ми при да са е може няма дори още който които също след много този тази тези "
    "без къде под тук съм сме",
    "sr": "и је у на се да су за од с шта не као ће то би који која које или али из до по само није већ све бити "
    "вам вас нас био била било смо сте сам ако како када где ово ова овај јер према између молимо можете ваш "
    "ваша након пре више може",
}
